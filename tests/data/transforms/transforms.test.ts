import { describe, expect, it } from 'vitest';
import {
  BlendTransform,
  CropTransform,
  ExtentTransform,
  GrayscaleTransform,
  HFlipTransform,
  PadTransform,
  ResizeTransform,
  RotationTransform,
  TransformList,
  VFlipTransform,
  type Raster,
} from '../../../src/data/transforms/index.js';

const gray = (width: number, ...values: number[]): Raster<Uint8Array> => ({
  data: Uint8Array.from(values),
  height: values.length / width,
  width,
  channels: 1,
});
const points = (...values: number[]) => Float64Array.from(values);

describe('flips', () => {
  it('mirror pixels of any channels, points, boxes and rotated boxes', () => {
    const image = { data: Uint8Array.from([1, 2, 3, 4, 5, 6]), height: 1, width: 2, channels: 3 };
    expect([...new HFlipTransform(2).applyImage(image).data]).toEqual([4, 5, 6, 1, 2, 3]);
    expect([...new VFlipTransform(2).applyImage(gray(2, 1, 2, 3, 4)).data]).toEqual([3, 4, 1, 2]);
    expect([...new HFlipTransform(10).applyBoxes(points(1, 2, 4, 6))]).toEqual([6, 2, 9, 6]);
    expect([...new VFlipTransform(10).applyBoxes(points(1, 2, 4, 6))]).toEqual([1, 4, 4, 8]);
    expect([...new HFlipTransform(10).applyRotatedBoxes(points(1, 2, 4, 6, 30))]).toEqual([9, 2, 4, 6, -30]);
  });

  it('refuses a picture of another width', () => {
    expect(() => new HFlipTransform(3).applyImage(gray(2, 1, 2))).toThrow('made for 1 x 3 pixels, the picture has 1 x 2');
  });
});

describe('CropTransform', () => {
  it('cuts pixels, ends at the border, and is undone by a padding', () => {
    const image = gray(4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    const crop = new CropTransform(1, 1, 2, 2, image);
    expect([...crop.applyImage(image).data]).toEqual([5, 6, 9, 10]);
    expect([...crop.inverse().applyImage(crop.applyImage(image)).data]).toEqual([0, 0, 0, 0, 0, 5, 6, 0, 0, 9, 10, 0]);
    const beyond = new CropTransform(3, 0, 9, 2).applyImage(image);
    expect([beyond.height, beyond.width, ...beyond.data]).toEqual([2, 1, 3, 7]);
    expect(() => new CropTransform(-1, 0, 2, 2)).toThrow('integers from 0');
  });

  it('cuts a concave polygon into its parts', () => {
    // A U whose foot lies below the window: two separate arms are left.
    const u = points(0, 0, 2, 0, 2, 8, 4, 8, 4, 0, 6, 0, 6, 10, 0, 10);
    const parts = new CropTransform(0, 0, 6, 4).applyPolygons([u]);
    const corners = (p: Float64Array) => Array.from({ length: p.length / 2 }, (_, i) => `${p[i * 2]},${p[i * 2 + 1]}`).sort();
    expect(parts.map(corners)).toEqual([
      ['0,0', '0,4', '2,0', '2,4'],
      ['4,0', '4,4', '6,0', '6,4'],
    ]);
  });

  it('leaves a polygon inside alone and drops one outside or touching', () => {
    const inside = points(1, 1, 3, 1, 3, 3);
    expect(new CropTransform(0, 0, 4, 4).applyPolygons([inside, points(4, 0, 6, 0, 6, 4, 4, 4)])).toEqual([inside]);
    expect(new CropTransform(10, 10, 4, 4).applyPolygons([inside])).toEqual([]);
  });
});

describe('PadTransform', () => {
  it('adds borders of another value in label maps', () => {
    const pad = new PadTransform({ left: 1, top: 0, right: 0, bottom: 1, value: 9, labelValue: 255 });
    expect([...pad.applyImage(gray(1, 5)).data]).toEqual([9, 5, 9, 9]);
    expect([...pad.applyLabels(gray(1, 5)).data]).toEqual([255, 5, 255, 255]);
    expect([...pad.applyCoordinates(points(2, 3))]).toEqual([3, 3]);
  });
});

describe('RotationTransform', () => {
  it('turns by a quarter, counter-clockwise as seen', () => {
    const turn = new RotationTransform({ height: 2, width: 3, angle: 90 });
    const out = turn.applyImage(gray(3, 1, 2, 3, 4, 5, 6));
    expect([out.height, out.width, ...out.data]).toEqual([3, 2, 3, 6, 2, 5, 1, 4]);
    // The upper right corner becomes the upper left one.
    turn.applyCoordinates(points(3, 0)).forEach((v) => expect(v).toBeCloseTo(0, 12));
  });

  it('is undone by its inverse', () => {
    const turn = new RotationTransform({ height: 40, width: 30, angle: 33 });
    const back = turn.inverse().applyCoordinates(turn.applyCoordinates(points(3, 4, 20, 30)));
    // Sizes are whole numbers, so the middle of the grown picture may be half a pixel off.
    [3, 4, 20, 30].forEach((v, i) => expect(Math.abs(back[i] - v)).toBeLessThanOrEqual(0.5));
    expect(() => new RotationTransform({ height: 4, width: 4, angle: 9, expand: false }).inverse()).toThrow('no inverse');
  });
});

describe('ExtentTransform', () => {
  it('enlarges a window with bilinear samples, cut down, and black outside', () => {
    const image = gray(2, 0, 100);
    // Centres at 0.25, 0.75, 1.25, 1.75: the border repeats, a quarter and three quarters between.
    expect([...new ExtentTransform([0, 0, 2, 1], 1, 4).applyImage(image).data]).toEqual([0, 25, 75, 100]);
    expect([...new ExtentTransform([-1, 0, 1, 1], 1, 2).applyLabels(image).data]).toEqual([0, 0]);
    expect([...new ExtentTransform([1, 0, 3, 1], 1, 2).applyLabels(image).data]).toEqual([100, 0]);
    expect([...new ExtentTransform([1, 0, 3, 4], 8, 4).applyCoordinates(points(2, 1))]).toEqual([2, 2]);
  });
});

describe('BlendTransform', () => {
  it('cuts 8-bit samples off at both ends and truncates; keeps floats', () => {
    const blend = new BlendTransform(100, -1, 1.5);
    expect([...blend.applyImage(gray(3, 10, 101, 255)).data]).toEqual([0, 51, 255]);
    const floats = { data: Float32Array.from([10]), height: 1, width: 1, channels: 1 };
    expect([...blend.applyImage(floats).data]).toEqual([-85]);
    const pixel = { data: Uint8Array.from([10, 20, 30]), height: 1, width: 1, channels: 3 };
    expect([...new BlendTransform([1, 2, 3], 1, 1).applyImage(pixel).data]).toEqual([11, 22, 33]);
    // 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15, and 17.38... with red and blue changed: 2.99 -> 8.97, 3.42 -> 1.14.
    expect([...new GrayscaleTransform().applyImage(pixel).data]).toEqual([18, 18, 18]);
    expect([...new GrayscaleTransform('BGR').applyImage(pixel).data]).toEqual([21, 21, 21]);
  });
});

describe('TransformList', () => {
  it('applies in order, counts mirrors, and is undone in reverse', () => {
    const list = new TransformList([new ResizeTransform(10, 20, 20, 40), new HFlipTransform(40)]);
    expect([...list.applyCoordinates(points(1, 2))]).toEqual([38, 4]);
    expect([...list.inverse().applyCoordinates(points(38, 4))]).toEqual([1, 2]);
    expect(list.mirrors).toBe(true);
    expect(new TransformList([list, new HFlipTransform(40)]).mirrors).toBe(false);
  });
});
