import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { presentFusedOps } from '../../../src/backends/fused_ops.js';
import { startBackend } from '../../../src/backends/select.js';
import { Random } from '../../../src/data/random.js';
import { nativeReason } from '../native.js';

/** Sizes of 1x1 convolutions at a stride; with fewer than 16 input channels oneDNN wrote behind its buffer on AVX-512. */
const SIZES = [
  { batch: 1, height: 24, width: 24, inputs: 8, outputs: 16, stride: 2 },
  { batch: 1, height: 25, width: 40, inputs: 4, outputs: 16, stride: 2 },
  { batch: 2, height: 23, width: 9, inputs: 12, outputs: 5, stride: 3 },
  { batch: 1, height: 12, width: 20, inputs: 24, outputs: 40, stride: 2 },
];

describe.skipIf(nativeReason())("TensorFlow's gradient for filters of 1x1 at a stride", () => {
  beforeAll(() => startBackend('tensorflow'));

  it.each(SIZES)('is that of the definition, a hundred times over: %o', ({ batch, height, width, inputs, outputs, stride }) => {
    const random = new Random(3);
    const [down, across] = [Math.ceil(height / stride), Math.ceil(width / stride)];
    const some = (count: number) => Float32Array.from({ length: count }, () => random.next() - 0.5);
    const [x, dy] = [some(batch * height * width * inputs), some(batch * down * across * outputs)];
    const wanted = new Float64Array(inputs * outputs);
    for (let n = 0; n < batch; n++)
      for (let row = 0; row < down; row++)
        for (let column = 0; column < across; column++)
          for (let i = 0; i < inputs; i++)
            for (let o = 0; o < outputs; o++)
              wanted[i * outputs + o] +=
                x[((n * height + row * stride) * width + column * stride) * inputs + i] *
                dy[((n * down + row) * across + column) * outputs + o];

    const [map, gradient] = [tf.tensor4d(x, [batch, height, width, inputs]), tf.tensor4d(dy, [batch, down, across, outputs])];
    const filter = tf.zeros<tf.Rank.R4>([1, 1, inputs, outputs]);
    const before = tf.memory().numTensors;
    for (let i = 0; i < 100; i++) {
      const found = [
        presentFusedOps().conv2dFilterGradient(gradient, map, filter.shape, { stride, padding: 0, dilation: 1 }),
        tf.grad((f) => tf.conv2d(map, f as tf.Tensor4D, stride, 'same'))(filter, gradient),
      ];
      for (const tensor of found) {
        const values = tensor.dataSync();
        expect(wanted.reduce((worst, value, k) => Math.max(worst, Math.abs(values[k] - value)), 0)).toBeLessThan(2e-5);
        tensor.dispose();
      }
    }
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([map, gradient, filter]);
  });
});
