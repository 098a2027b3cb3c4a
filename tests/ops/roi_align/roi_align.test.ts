import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError } from '../../../src/errors.js';
import type { RoiAlignOptions } from '../../../src/ops/roi_align/geometry.js';
import { assignLevels } from '../../../src/ops/roi_align/levels.js';
import { multilevelRoiAlign } from '../../../src/ops/roi_align/multilevel_roi_align.js';
import { roiAlign } from '../../../src/ops/roi_align/roi_align.js';
import { toNchw, toNhwc } from '../../golden/layout.js';
import { computed } from '../computed.js';
import { devices, useDevice } from '../devices.js';
import { goldenCases } from '../golden_cases.js';
import { maxDifference } from '../max_difference.js';
import { roiAlignGradReference, roiAlignReference } from '../../../src/ops/roi_align/reference.js';
import { compareManyMaps, compareWithDifferences, compareWithLoops, noise, poolNothing, PROBLEMS, problem } from './problems.js';

type Shape4 = [number, number, number, number];

const singles = goldenCases('roi_align').filter(({ view }) => view.wants('output'));
const poolers = goldenCases('roi_pooler').filter(({ view }) => view.wants('output'));

describe.each(devices)('RoIAlign on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.each(PROBLEMS)(
    'equals the plain loops: %i channels, sampling ratio %i, aligned %s',
    async (channels, samplingRatio, aligned) => {
      const { shape, newTensors, forward, backward, repeats } = await compareWithLoops(channels, samplingRatio, aligned);
      expect(shape).toEqual([68, 7, 5, channels]);
      expect(newTensors).toBe(1);
      expect(forward).toBeLessThan(1e-6);
      expect(Math.max(...backward)).toBeLessThan(2e-5);
      expect(repeats).toBe(true);
    },
  );

  it.each(PROBLEMS)(
    'has the gradient that differences of the forward pass give: %i channels, sampling ratio %i, aligned %s',
    async (channels, samplingRatio, aligned) => {
      const before = tf.memory().numTensors;
      // Differences of numbers below 8 in float32; where the gradient adds term by term as torchvision does, thousands on the one pixel of the coarsest map.
      const tolerance = samplingRatio > 0 ? 2e-4 : 2e-5;
      expect(await compareWithDifferences(channels, samplingRatio, aligned)).toBeLessThan(tolerance);
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  it('pools regions that were computed on the device, and more maps than one program takes', async () => {
    expect(await compareManyMaps()).toBeLessThan(1e-6);
  });

  it('finds the levels of regions that were computed on the device, forward and backward', async () => {
    const shapes: Shape4[] = [
      [1, 40, 40, 4],
      [1, 20, 20, 4],
      [1, 10, 10, 4],
      [1, 5, 5, 4],
    ];
    const maps = shapes.map((shape, level) =>
      noise(
        shape.reduce((a, b) => a * b),
        level + 3,
      ),
    );
    // Around the sizes at which the level changes: 112, 224, 448 pixels; a box of zeros, and an inverted one.
    const sizes = [112, 224, 448].flatMap((n) => [n - 0.01, n, n + 0.01]);
    const boxes = [...sizes.map((n, k) => [0, k, 2 * k, k + n, 2 * k + n]), [0, 0, 0, 0, 0], [0, 60, 20, 20, 60]];
    const values = Float32Array.from(boxes.flat());
    const o: RoiAlignOptions = {
      outputSize: [3, 3],
      spatialScales: [1 / 4, 1 / 8, 1 / 16, 1 / 32],
      samplingRatio: 0,
      aligned: true,
    };
    const levels = assignLevels(values, 2, 5);
    expect([...levels]).toEqual([0, 1, 1, 1, 2, 2, 2, 3, 3, 0, -2]);
    const features = maps.map((map, level) => tf.tensor4d(map.slice(), shapes[level]));
    const rois = computed(boxes);
    const run = (...x: tf.Tensor[]): tf.Tensor4D => multilevelRoiAlign(x as tf.Tensor4D[], rois, { minLevel: 2, maxLevel: 5 }, o);
    const out = run(...features);
    expect(maxDifference(await out.data(), roiAlignReference(maps, shapes, values, levels, o))).toBeLessThan(2e-6);
    const dy = noise(out.size, 8);
    const expected = roiAlignGradReference(dy, shapes, values, levels, o);
    for (const deterministic of [false, true]) {
      tf.env().set('MASKRCNN_DETERMINISTIC', deterministic);
      const gradients = tf.grads(run)(features, tf.tensor(dy.slice(), out.shape));
      for (let level = 0; level < 4; level++) {
        expect(maxDifference(await gradients[level].data(), expected[level])).toBeLessThan(2e-5);
      }
      tf.dispose(gradients);
    }
    tf.env().set('MASKRCNN_DETERMINISTIC', false);
    tf.dispose([features, rois, out]);
  });

  it.skipIf(singles.length === 0).each(singles.map((c) => [c.name, c] as const))(
    'gives the recorded numbers: %s',
    async (name, { view, file }) => {
      const f = toNhwc(view.input('features'));
      const features = tf.tensor4d(f.data, f.shape as Shape4);
      const values = view.float32('rois');
      const rois = tf.tensor2d(values, [values.length / 5, 5]);
      const o = {
        outputSize: view.required<[number, number]>('output_size'),
        spatialScale: view.required<number>('spatial_scale'),
        samplingRatio: view.required<number>('sampling_ratio'),
        aligned: view.required<boolean>('aligned'),
      };
      const out = roiAlign(features, rois, o);
      const forward = toNchw({ shape: out.shape, data: await out.data() });
      expect(maxDifference(forward.data, file.get(`${name}.out.output`).data)).toBeLessThan(view.golden.atol);
      const g = toNhwc(view.input('grad_output'));
      // The order of atomic additions would come on top of what the recorded numbers are off.
      tf.env().set('MASKRCNN_DETERMINISTIC', true);
      const dx = tf.grad((x: tf.Tensor) => roiAlign(x as tf.Tensor4D, rois, o))(features, tf.tensor(g.data, g.shape));
      tf.env().set('MASKRCNN_DETERMINISTIC', false);
      const backward = toNchw({ shape: dx.shape, data: await dx.data() });
      const difference = maxDifference(backward.data, file.get(`${name}.out.grad_input`).data);
      // The recorded gradients are float32 sums of hundreds of terms, up to 1.7e-5 away from float64; the order in which they are added decides.
      if (o.samplingRatio > 0 && Number.isInteger(Math.log2(o.samplingRatio))) expect(difference).toBe(0);
      else expect(difference).toBeLessThan(view.golden.atol);
      tf.dispose([features, rois, out, dx]);
    },
  );

  it.skipIf(poolers.length === 0).each(poolers.map((c) => [c.name, c] as const))(
    'pools a pyramid as recorded: %s',
    async (name, { view, file }) => {
      const single = name === 'single_level';
      const first = poolers[0].name;
      const stored = (level: number) => toNhwc(file.get(`${first}.in.features.${level}`));
      const features = (single ? [2] : [0, 1, 2, 3]).map((level) =>
        tf.tensor4d(stored(level).data, stored(level).shape as Shape4),
      );
      const boxes = [0, 1].flatMap((image) => {
        const values = file.get(`${first}.in.boxes${image}`).data;
        return Array.from({ length: values.length / 4 }, (_, k) => [image, ...values.subarray(4 * k, 4 * k + 4)]);
      });
      const rois = tf.tensor2d(boxes);
      const levels = single ? new Int32Array(boxes.length) : Int32Array.from(file.get(`${name}.out.levels`).data);
      const size = view.required<number>('output_size');
      const o: RoiAlignOptions = {
        outputSize: [size, size],
        spatialScales: view.required<number[]>('scales'),
        samplingRatio: view.required<number>('sampling_ratio'),
        aligned: view.required<string>('pooler_type') === 'ROIAlignV2',
      };
      const out = multilevelRoiAlign(features, rois, levels, o);
      const forward = toNchw({ shape: out.shape, data: await out.data() });
      expect(maxDifference(forward.data, file.get(`${name}.out.output`).data)).toBeLessThan(view.golden.atol);
      if (view.wants('grad_features.0')) {
        const g = toNhwc(file.get(`${name}.in.grad_output`));
        const dx = tf.grads((...x: tf.Tensor[]) => multilevelRoiAlign(x as tf.Tensor4D[], rois, levels, o))(
          features,
          tf.tensor(g.data, g.shape),
        );
        for (let level = 0; level < 4; level++) {
          const backward = toNchw({ shape: dx[level].shape, data: await dx[level].data() });
          expect(maxDifference(backward.data, file.get(`${name}.out.grad_features.${level}`).data)).toBeLessThan(
            view.golden.atol,
          );
        }
        tf.dispose(dx);
      }
      tf.dispose([features, rois, out]);
    },
  );

  it('means over a constant and interpolates a ramp', async () => {
    // On a ramp of slope 1 a mean of samples is the value at the bin's centre: 0.5 px before it, as pixel k has its centre at k + 0.5.
    const ramp = tf.tensor4d(
      Float32Array.from({ length: 25 }, (_, k) => k % 5),
      [1, 5, 5, 1],
    );
    const rois = tf.tensor2d([[0, 1, 1, 4, 4]]);
    const out = roiAlign(ramp, rois, { outputSize: [1, 3], spatialScale: 1, samplingRatio: 2, aligned: true });
    expect([...(await out.data())].map((v) => Math.round(v * 1e5) / 1e5)).toEqual([1, 2, 3]);
    tf.dispose([ramp, rois, out]);
  });

  it('takes no regions, forward and backward', async () => {
    expect(await poolNothing()).toEqual({ shape: [0, 7, 7, 8], gradient: 0 });
  });

  it.each([0, 2])('leaves no tensors behind and repeats bit by bit: sampling ratio %i', async (samplingRatio) => {
    // By default webgpu adds gradients in any order; the others need no option.
    if (device === 'webgpu') tf.env().set('MASKRCNN_DETERMINISTIC', true);
    const { shapes, maps, rois, levels, o } = problem(16, samplingRatio, true);
    const features = maps.map((map, level) => tf.tensor4d(map, shapes[level]));
    const regions = tf.tensor2d(rois, [levels.length, 5]);
    const before = tf.memory().numTensors;
    let first: Float32Array[] | undefined;
    for (let run = 0; run < 3; run++) {
      const { value, grads } = tf.valueAndGrads((...x: tf.Tensor[]) =>
        tf.sum(tf.square(multilevelRoiAlign(x as tf.Tensor4D[], regions, levels, o))),
      )(features);
      const values: Float32Array[] = [];
      for (const tensor of [...grads, value]) values.push((await tensor.data<'float32'>()).slice());
      first ??= values;
      expect(values.length).toBe(4);
      values.forEach((list, k) => expect(maxDifference(list, first![k])).toBe(0));
      tf.dispose([value, grads]);
    }
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([features, regions]);
    tf.env().set('MASKRCNN_DETERMINISTIC', false);
  });

  it('does not mix up a disposed map with a new one', async () => {
    const rois = tf.tensor2d([[0, 0, 0, 4, 4]]);
    for (const value of [1, 2, 3]) {
      const x = tf.fill([1, 4, 4, 4], value) as tf.Tensor4D;
      for (const size of [1, 2]) {
        const out = roiAlign(x, rois, { outputSize: [size, size], spatialScale: 1, samplingRatio: 0, aligned: true });
        expect(maxDifference(await out.data(), new Float32Array(4 * size * size).fill(value))).toBeLessThan(1e-6);
        out.dispose();
      }
      x.dispose();
    }
    rois.dispose();
  });

  it('says which argument does not fit', () => {
    const x = tf.zeros([1, 4, 4, 4]) as tf.Tensor4D;
    const o = { outputSize: [2, 2] as [number, number], spatialScales: [1], samplingRatio: 0, aligned: true };
    const rois = tf.tensor2d([[1, 0, 0, 4, 4]]);
    expect(() => multilevelRoiAlign([], rois, new Int32Array(1), o)).toThrow(ArgumentError);
    expect(() => multilevelRoiAlign([x], rois, new Int32Array(1), o)).toThrow('Region 0 is of image 1; the batch has 1 images');
    expect(() => multilevelRoiAlign([x], rois, Int32Array.of(2), o)).toThrow('Region 0 is on level 2');
    expect(() => multilevelRoiAlign([x], rois, new Int32Array(2), o)).toThrow('2 levels for 1 rois');
    expect(() => multilevelRoiAlign([x], rois, new Int32Array(1), { ...o, samplingRatio: -1 })).toThrow('samplingRatio is -1');
    // Coordinates that the device computed: the levels are on the host all the same.
    const onDevice = computed([[0, 0, 0, 4, 4], [0, 0, 0, 4, 4]]); // prettier-ignore
    expect(() => multilevelRoiAlign([x], onDevice, Int32Array.of(0, 1), o)).toThrow('Region 1 is on level 1; there are 1 maps');
    expect(() => multilevelRoiAlign([x], onDevice, { minLevel: 2, maxLevel: 3 }, o)).toThrow('levels 2 to 3 for 1 maps');
    tf.dispose([x, rois, onDevice]);
  });

  it('gives zeros for a region of an image that only a GPU knows not to exist', async () => {
    const x = tf.ones([2, 4, 4, 4]) as tf.Tensor4D;
    const o = { outputSize: [1, 1] as [number, number], spatialScale: 1, samplingRatio: 0, aligned: true };
    const rows = [[1, 0, 0, 4, 4], [2, 0, 0, 4, 4], [-1, 0, 0, 4, 4]]; // prettier-ignore
    const rois = computed(rows);
    if (device === 'webgpu') {
      const out = roiAlign(x, rois, o);
      expect([...(await out.data())]).toEqual([1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
      const dx = tf.grad((map: tf.Tensor) => roiAlign(map as tf.Tensor4D, rois, o))(x);
      // All goes to the second image, whatever lies beside it in memory.
      expect([...(await tf.sum(dx, [1, 2, 3]).data())].map((v) => Math.round(v * 1e5) / 1e5)).toEqual([0, 4]);
      tf.dispose([out, dx]);
    } else expect(() => roiAlign(x, rois, o)).toThrow('Region 1 is of image 2; the batch has 2 images');
    tf.dispose([x, rois]);
  });
});
