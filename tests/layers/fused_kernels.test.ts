import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { fusedOps } from '../../src/backends/fused_ops.js';
import { startBackend } from '../../src/backends/select.js';
import { fusedConv2d, fusedMatMul, plainConv2d } from '../../src/layers/fused_kernels.js';
import { nativeReason } from '../backends/native.js';

const missing = nativeReason();

describe('without the native backend', () => {
  it('there are no fused operations', async () => {
    await tf.setBackend('cpu');
    expect(fusedOps()).toBeUndefined();
    const one = tf.ones<tf.Rank.R2>([1, 1]);
    expect(fusedMatMul(one, one, tf.ones([1]), 'relu')).toBeUndefined();
  });
});

describe.skipIf(missing)(`fused operations${missing ? ` (${missing})` : ''}`, () => {
  /** False for tfjs-node's own addon: the layers take the plain operations then. */
  let present = false;
  beforeAll(async () => {
    await startBackend('tensorflow');
    present = fusedOps() !== undefined;
  });

  it.runIf(process.env.MASKRCNN_REQUIRE_NATIVE === '1')('are there after set-up', () => {
    expect(present).toBe(true);
  });

  const filled = (shape: number[], step: number): tf.Tensor =>
    tf.tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * step) % 23) / 11 - 1),
      shape,
    );

  /** Values and gradients of a function of tensors on the backend in use. */
  function evaluate(f: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[]): Float32Array[] {
    const outputs = tf.tidy(() => {
      const y = f(...inputs);
      return [y, ...tf.grads((...x: tf.Tensor[]) => f(...x))(inputs, filled(y.shape, 7))];
    });
    const values = outputs.map((t) => t.dataSync<'float32'>());
    tf.dispose(outputs);
    return values;
  }

  const cases = [
    { stride: 1, padding: 1, kernel: 3, relu: true, residual: true },
    { stride: 2, padding: 1, kernel: 3, relu: true, residual: false },
    { stride: 2, padding: 0, kernel: 1, relu: false, residual: false },
    { stride: 1, padding: 0, kernel: 1, relu: false, residual: true },
  ];
  for (const { stride, padding, kernel, relu, residual } of cases) {
    it(`are the plain convolution, value and gradient: ${kernel}x${kernel}, stride ${stride}, relu ${relu}, residual ${residual}`, async (context) => {
      if (!present) return context.skip();
      const size = stride === 1 ? 6 : 3;
      const shapes = [[2, 6, 6, 3], [kernel, kernel, 3, 4], [4], ...(residual ? [[2, size, size, 4]] : [])];
      const plain = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor, r?: tf.Tensor): tf.Tensor => {
        const padded = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]]); // prettier-ignore
        const y = tf.add(tf.conv2d(padded as tf.Tensor4D, w as tf.Tensor4D, stride, 'valid'), b);
        const sum = r ? tf.add(y, r) : y;
        return relu ? tf.relu(sum) : sum;
      };
      const fused = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor, r?: tf.Tensor): tf.Tensor =>
        fusedConv2d(
          x as tf.Tensor4D,
          w as tf.Tensor4D,
          b as tf.Tensor1D,
          r as tf.Tensor4D | undefined,
          { stride, padding, dilation: 1 },
          relu ? 'relu' : 'linear',
        )!;
      await compare(fused, plain, shapes);
    });
  }

  it.each([1, 2])('are the convolution without a bias, value and gradient: stride %i', async (stride) => {
    if (!present) return;
    const shapes = [[2, 7, 6, 3], [3, 3, 3, 4]]; // prettier-ignore
    const plain = (x: tf.Tensor, w: tf.Tensor): tf.Tensor => {
      const padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]); // prettier-ignore
      return tf.conv2d(padded as tf.Tensor4D, w as tf.Tensor4D, stride, 'valid');
    };
    const padded = (x: tf.Tensor, w: tf.Tensor): tf.Tensor =>
      plainConv2d(x as tf.Tensor4D, w as tf.Tensor4D, { stride, padding: 1, dilation: 1 })!;
    await compare(padded, plain, shapes);
  });

  it('are the plain product, value and gradient', async (context) => {
    if (!present) return context.skip();
    for (const epilogue of ['linear', 'relu'] as const) {
      const fused = (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor): tf.Tensor =>
        fusedMatMul(a as tf.Tensor2D, b as tf.Tensor2D, bias as tf.Tensor1D, epilogue)!;
      const plain = (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor): tf.Tensor => {
        const y = tf.add(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D), bias);
        return epilogue === 'relu' ? tf.relu(y) : y;
      };
      await compare(fused, plain, [[5, 3], [3, 4], [4]]);
    }
  });

  it('add in place on several threads', (context) => {
    if (!present) return context.skip();
    const length = 3 * 2 ** 18 + 5;
    const y = tf.add(tf.range(0, length), 0);
    const addend = tf.fill([length], -(2 ** 18));
    fusedOps()!.addInPlace(y, addend, true);
    const values = y.dataSync();
    for (let i = 0; i < length; i++) if (values[i] !== Math.max(0, i - 2 ** 18)) throw new Error(`wrong at ${i}: ${values[i]}`);
    expect(() => fusedOps()!.addInPlace(y, tf.ones([3]), false)).toThrow('adds tensors of one size');
    tf.dispose([y, addend]);
  });

  async function compare(
    fused: (...inputs: tf.Tensor[]) => tf.Tensor,
    plain: (...inputs: tf.Tensor[]) => tf.Tensor,
    shapes: number[][],
  ): Promise<void> {
    const before = tf.memory().numTensors;
    const inputs = shapes.map((shape, i) => filled(shape, 5 + 2 * i));
    const got = evaluate(fused, inputs);
    tf.dispose(inputs);
    expect(tf.memory().numTensors).toBe(before);
    await tf.setBackend('cpu');
    const right = evaluate(
      plain,
      shapes.map((shape, i) => filled(shape, 5 + 2 * i)),
    );
    await tf.setBackend('tensorflow');
    expect(got.length).toBe(right.length);
    got.forEach((values, k) => {
      expect(values.length).toBe(right[k].length);
      values.forEach((value, i) => expect(Math.abs(value - right[k][i])).toBeLessThan(2e-5));
    });
  }
});
