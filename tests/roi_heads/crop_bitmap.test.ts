import { describe, expect, it } from 'vitest';
import { roiAlignReference } from '../../src/ops/roi_align/reference.js';
import { cropBitmap } from '../../src/roi_heads/crop_bitmap.js';
import { Random } from '../../src/data/random.js';

describe('cropBitmap', () => {
  it("equals RoIAlign's mean cut at one half, for boxes inside, across the border, thin and outside", () => {
    const [height, width, size] = [37, 53, 14];
    const random = new Random(3);
    const bitmap = Uint8Array.from({ length: height * width }, (_, i) =>
      Number(((i % width) - 25) ** 2 + (Math.floor(i / width) - 18) ** 2 < 200 !== random.next() < 0.1),
    );
    const boxes = Float32Array.of(
      10,
      5,
      40,
      30,
      -6,
      -4,
      20,
      50,
      3.3,
      7.7,
      4.1,
      30.2,
      45,
      30,
      70,
      60,
      60,
      40,
      80,
      50,
      0,
      0,
      53,
      37,
    );
    const count = boxes.length / 4;
    const rois = new Float32Array(count * 5);
    for (let i = 0; i < count; i++) rois.set(boxes.subarray(i * 4, i * 4 + 4), i * 5 + 1);
    const pooled = roiAlignReference([Float32Array.from(bitmap)], [[1, height, width, 1]], rois, new Int32Array(count), {
      outputSize: [size, size],
      spatialScales: [1],
      samplingRatio: 0,
      aligned: true,
    });
    const out = new Float32Array(count * size * size);
    for (let i = 0; i < count; i++) cropBitmap(bitmap, width, boxes, i * 4, size, out, i * size * size);
    // A mean within rounding of one half may fall to either side.
    const wrong = [...out].filter((value, i) => Math.abs(pooled[i] - 0.5) > 1e-6 && value !== Number(pooled[i] >= 0.5));
    expect(wrong).toHaveLength(0);
    expect(out.reduce((a, b) => a + b, 0)).toBeGreaterThan(200);
  });
});
