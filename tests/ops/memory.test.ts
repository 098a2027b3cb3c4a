import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import { deformConv2d } from '../../src/ops/deform_conv/deform_conv.js';
import type { WasmBackend } from '../../src/ops/kernels/wasm_heap.js';
import { multilevelRoiAlign } from '../../src/ops/roi_align/multilevel_roi_align.js';
import { rotatedRoiAlign } from '../../src/ops/rotated/roi_align.js';
import { AnchorGenerator } from '../../src/rpn/anchor_generator.js';
import { Box2BoxTransform } from '../../src/rpn/box_transform.js';
import '../../src/rpn/rpn.js';
import { selectProposals } from '../../src/rpn/proposal_kernel.js';
import { devices, useDevice } from './devices.js';

const random = new Random(3);
const noise = (shape: number[]): tf.Tensor =>
  tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform(-1, 1)),
    shape,
  );

/** Each op once, forward and backward; what it returns is disposed of by the caller. */
const OPS: Record<string, () => { inputs: tf.Tensor[]; run: (...inputs: tf.Tensor[]) => tf.Tensor; upstream: boolean }> = {
  multilevelRoiAlign: () => {
    const rois = tf.tensor2d([
      [0, 1, 2, 30, 40],
      [0, 5, 5, 20, 12],
    ]);
    const o = { outputSize: [7, 7] as [number, number], spatialScales: [0.25, 0.125], samplingRatio: 0, aligned: true };
    return {
      inputs: [noise([1, 16, 16, 8]), noise([1, 8, 8, 8])],
      run: (a, b) => multilevelRoiAlign([a, b] as tf.Tensor4D[], rois, Int32Array.of(0, 1), o),
      upstream: true,
    };
  },
  rotatedRoiAlign: () => {
    const rois = tf.tensor2d([[0, 20, 20, 30, 10, 33]]);
    return {
      inputs: [noise([1, 16, 16, 4])],
      run: (x) => rotatedRoiAlign(x as tf.Tensor4D, rois, { outputSize: [3, 3], spatialScale: 0.25, samplingRatio: 2 }),
      upstream: true,
    };
  },
  deformConv2d: () => ({
    inputs: [noise([1, 6, 6, 4]), noise([1, 6, 6, 18]), noise([3, 3, 4, 4]), noise([1, 6, 6, 9])],
    run: (x, offset, weight, mask) =>
      deformConv2d({ x, offset, weight, mask } as unknown as Parameters<typeof deformConv2d>[0], {
        stride: 1,
        padding: 1,
        dilation: 1,
        groups: 1,
        deformableGroups: 1,
      }),
    upstream: true,
  }),
  selectProposals: () => {
    const anchors = new AnchorGenerator({ sizes: [[16]], aspectRatios: [[1]], strides: [8], offset: 0 });
    const selection = { nmsThreshold: 0.7, preNmsTopK: 50, postNmsTopK: 20, minBoxSize: 0 };
    const transform = new Box2BoxTransform([1, 1, 1, 1]);
    return {
      inputs: [noise([1, 10, 10, 1]), noise([1, 10, 10, 4])],
      run: (logits, deltas) =>
        selectProposals([logits as tf.Tensor4D], [deltas as tf.Tensor4D], {
          anchors,
          transform,
          selection,
          imageSizes: [[80, 80]],
        }),
      upstream: false,
    };
  },
};

interface Held {
  tensors: number;
  /** Bytes of the GPU's buffers in use. */
  gpuBytes: number;
  /** Bytes of the wasm backend's heap: what is freed is used again, so it does not grow. */
  heapBytes: number;
}

function held(): Held {
  const { wasm } = tf.backend() as unknown as Partial<WasmBackend>;
  const heap = wasm?.HEAPU8 as Uint8Array | undefined;
  const memory = tf.memory() as tf.MemoryInfo & { numBytesInGPU?: number };
  return { tensors: memory.numTensors, gpuBytes: memory.numBytesInGPU ?? 0, heapBytes: heap?.buffer.byteLength ?? 0 };
}

describe.each(devices)('100 runs on %s', (device) => {
  beforeAll(() => useDevice(device));

  it.each(Object.keys(OPS))('%s leaves tensors, GPU buffers and the wasm heap as they were', async (name) => {
    const { inputs, run, upstream } = OPS[name]();
    const once = async (): Promise<void> => {
      const out = run(...inputs);
      await out.data();
      if (upstream) {
        const { value, grads } = tf.valueAndGrads((...x: tf.Tensor[]) => tf.sum(run(...x)) as tf.Scalar)(inputs);
        for (const gradient of grads) await gradient.data();
        tf.dispose([value, grads]);
      }
      out.dispose();
    };
    // The first runs compile programs, fill pools and cache what is read.
    for (let k = 0; k < 3; k++) await once();
    const before = held();
    for (let k = 0; k < 100; k++) await once();
    expect(held()).toEqual(before);
    tf.dispose(inputs);
  });
});
