import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { fusedOps, type FusedOps } from '../../src/backends/fused_ops.js';
import { startBackend } from '../../src/backends/select.js';
import { Random } from '../../src/data/random.js';
import { fusedConv2d } from '../../src/layers/fused_kernels.js';
import { nativeReason } from './native.js';

const missing = nativeReason();

interface Sizes {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly inChannels: number;
  readonly outChannels: number;
}

interface Numbers {
  readonly x: Float32Array;
  readonly filter: Float32Array;
  readonly bias: Float32Array;
  readonly addend: Float32Array;
}

function numbersOf(sizes: Sizes, next: () => number): Numbers {
  const { batch, height, width, inChannels, outChannels } = sizes;
  const some = (length: number) => Float32Array.from({ length }, next);
  return {
    x: some(batch * height * width * inChannels),
    filter: some(9 * inChannels * outChannels),
    bias: some(outChannels),
    addend: some(batch * height * width * outChannels),
  };
}

/** By the definition, in double precision. */
function convolved(sizes: Sizes, numbers: Numbers): Float64Array {
  const { batch, height, width, inChannels, outChannels } = sizes;
  const y = new Float64Array(batch * height * width * outChannels);
  for (let n = 0; n < batch; n++) {
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const at = ((n * height + row) * width + column) * outChannels;
        for (let k = 0; k < 9; k++) {
          const r = row + Math.floor(k / 3) - 1;
          const c = column + (k % 3) - 1;
          if (r < 0 || c < 0 || r >= height || c >= width) continue;
          for (let i = 0; i < inChannels; i++) {
            const value = numbers.x[((n * height + r) * width + c) * inChannels + i];
            const from = (k * inChannels + i) * outChannels;
            for (let o = 0; o < outChannels; o++) y[at + o] += value * numbers.filter[from + o];
          }
        }
      }
    }
  }
  return y;
}

/** The gradient for the filter where `addend` is the gradient of the output: by the definition, in double precision. */
function filterGradient(sizes: Sizes, { x, addend: dy }: Numbers): Float64Array {
  const { batch, height, width, inChannels, outChannels } = sizes;
  const gradient = new Float64Array(9 * inChannels * outChannels);
  for (let pixel = 0; pixel < batch * height * width; pixel++) {
    const row = Math.floor(pixel / width) % height;
    const column = pixel % width;
    for (let k = 0; k < 9; k++) {
      const [r, c] = [row + Math.floor(k / 3) - 1, column + (k % 3) - 1];
      if (r < 0 || c < 0 || r >= height || c >= width) continue;
      const from = (pixel + (r - row) * width + c - column) * inChannels;
      for (let i = 0; i < inChannels; i++) {
        for (let o = 0; o < outChannels; o++) {
          gradient[(k * inChannels + i) * outChannels + o] += x[from + i] * dy[pixel * outChannels + o];
        }
      }
    }
  }
  return gradient;
}

interface Parts {
  readonly bias: boolean;
  readonly addend: boolean;
  readonly relu: boolean;
}

function finished(sums: Float64Array, { bias, addend }: Numbers, parts: Parts): Float64Array {
  return sums.map((value, i) => {
    const sum = value + (parts.bias ? bias[i % bias.length] : 0) + (parts.addend ? addend[i] : 0);
    return parts.relu ? Math.max(0, sum) : sum;
  });
}

/** The filter of the gradient for the input: turned by half a circle, channels exchanged. */
function turned({ inChannels, outChannels }: Sizes, filter: Float32Array): Float32Array {
  const other = new Float32Array(filter.length);
  for (let k = 0; k < 9; k++) {
    for (let i = 0; i < inChannels; i++) {
      for (let o = 0; o < outChannels; o++) {
        other[((8 - k) * outChannels + o) * inChannels + i] = filter[(k * inChannels + i) * outChannels + o];
      }
    }
  }
  return other;
}

describe.skipIf(missing)(`3x3 convolutions by Winograd's algorithm${missing ? ` (${missing})` : ''}`, () => {
  let ops: FusedOps | undefined;
  beforeAll(async () => {
    await startBackend('tensorflow');
    const found = fusedOps();
    if (found?.hasConv3x3) ops = found;
  });

  it.runIf(process.env.MASKRCNN_REQUIRE_NATIVE === '1')('are there after set-up', () => {
    expect(ops?.hasFilterGradient).toBe(true);
  });

  function run(sizes: Sizes, numbers: Numbers, parts: Parts & { transposed: boolean }) {
    const { batch, height, width, inChannels, outChannels } = sizes;
    const before = tf.memory().numTensors;
    const x = tf.tensor(numbers.x, [batch, height, width, inChannels]);
    const filter = parts.transposed
      ? tf.tensor(turned(sizes, numbers.filter), [3, 3, outChannels, inChannels])
      : tf.tensor(numbers.filter, [3, 3, inChannels, outChannels]);
    const bias = tf.tensor(numbers.bias, [outChannels]);
    const addend = tf.tensor(numbers.addend, [batch, height, width, outChannels]);
    const y = ops!.conv3x3(x, filter, {
      ...(parts.bias && { bias }),
      ...(parts.addend && { addend }),
      relu: parts.relu,
      transposed: parts.transposed,
    });
    expect(y.shape).toEqual([batch, height, width, outChannels]);
    const values = y.dataSync<'float32'>();
    expect(x.dataSync()).toEqual(numbers.x);
    expect(addend.dataSync()).toEqual(numbers.addend);
    tf.dispose([x, filter, bias, addend, y]);
    expect(tf.memory().numTensors).toBe(before);
    return values;
  }

  // Odd and even sizes, fewer and more channels than a vector or a panel has, one tile and several blocks of them.
  const maps: Sizes[] = [
    { batch: 1, height: 1, width: 1, inChannels: 1, outChannels: 1 },
    { batch: 2, height: 5, width: 7, inChannels: 3, outChannels: 5 },
    { batch: 1, height: 2, width: 9, inChannels: 8, outChannels: 16 },
    { batch: 3, height: 4, width: 1, inChannels: 40, outChannels: 19 },
    { batch: 2, height: 15, width: 16, inChannels: 17, outChannels: 70 },
    { batch: 4, height: 14, width: 14, inChannels: 40, outChannels: 33 },
  ];
  for (const sizes of maps) {
    const name = `${sizes.batch} of ${sizes.height}x${sizes.width}, ${sizes.inChannels} to ${sizes.outChannels} channels`;
    // Whole numbers up to 4: quarters of them and their sums are below 2^24 quarters, so that nothing is rounded.
    it(`are exact for whole numbers: ${name}`, (context) => {
      if (!ops) return context.skip();
      const random = new Random(7);
      const numbers = numbersOf(sizes, () => random.integer(9) - 4);
      const sums = convolved(sizes, numbers);
      for (const transposed of [false, true]) {
        for (const parts of [
          { bias: false, addend: false, relu: false },
          { bias: true, addend: false, relu: true },
          { bias: true, addend: true, relu: true },
          { bias: true, addend: true, relu: false },
        ]) {
          const got = run(sizes, numbers, { ...parts, transposed });
          const right = finished(sums, numbers, parts);
          const wrong = got.findIndex((value, i) => value !== right[i]);
          expect([wrong, got[wrong], got.length]).toEqual([-1, undefined, right.length]);
        }
      }
    });
  }

  function gradientOf({ batch, height, width, inChannels, outChannels }: Sizes, { x, addend }: Numbers): Float32Array {
    const before = tf.memory().numTensors;
    const map = tf.tensor(x, [batch, height, width, inChannels]);
    const dy = tf.tensor(addend, [batch, height, width, outChannels]);
    const gradient = ops!.conv3x3FilterGradient(map, dy);
    expect(gradient.shape).toEqual([3, 3, inChannels, outChannels]);
    const values = gradient.dataSync<'float32'>();
    tf.dispose([map, dy, gradient]);
    expect(tf.memory().numTensors).toBe(before);
    return values;
  }

  // More than one chunk of tiles, too.
  for (const sizes of [...maps, { batch: 2, height: 70, width: 61, inChannels: 19, outChannels: 21 }]) {
    const name = `${sizes.batch} of ${sizes.height}x${sizes.width}, ${sizes.inChannels} to ${sizes.outChannels} channels`;
    it(`have exact gradients for their filter: ${name}`, (context) => {
      if (!ops?.hasFilterGradient) return context.skip();
      const random = new Random(9);
      const numbers = numbersOf(sizes, () => random.integer(9) - 4);
      expect([...gradientOf(sizes, numbers)]).toEqual([...filterGradient(sizes, numbers)]);
    });
  }

  it('round in the gradient for the filter as sums over 64 tiles, and over such sums, may', (context) => {
    if (!ops?.hasFilterGradient) return context.skip();
    const random = new Random(13);
    const sizes = { batch: 3, height: 64, width: 64, inChannels: 24, outChannels: 24 };
    const numbers = numbersOf(sizes, () => 2 * random.next() - 1);
    const right = filterGradient(sizes, numbers);
    const worst = gradientOf(sizes, numbers).reduce((most, value, i) => Math.max(most, Math.abs(value - right[i])), 0);
    // 12,288 products of at most 1, each rounded once in at most 64 + 48 additions whose terms are of random signs.
    expect(worst).toBeLessThan(Math.sqrt(12288) * (64 + 48) * 2 ** -24);
  });

  it('round as a sum of 9 C products of at most 1 may: one unit of 2^-24 each', (context) => {
    if (!ops) return context.skip();
    const random = new Random(3);
    for (const channels of [16, 256]) {
      const sizes = { batch: 1, height: 15, width: 14, inChannels: channels, outChannels: 32 };
      const numbers = numbersOf(sizes, () => 2 * random.next() - 1);
      const parts = { bias: true, addend: true, relu: false };
      const right = finished(convolved(sizes, numbers), numbers, parts);
      for (const transposed of [false, true]) {
        const got = run(sizes, numbers, { ...parts, transposed });
        const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - right[i])), 0);
        expect(worst).toBeLessThan(9 * channels * 2 ** -24);
      }
    }
  });

  it('give a map alone the same bits as in a batch, whose tiles are divided otherwise', (context) => {
    if (!ops) return context.skip();
    const random = new Random(5);
    const sizes = { batch: 9, height: 13, width: 13, inChannels: 48, outChannels: 40 };
    const numbers = numbersOf(sizes, () => 2 * random.next() - 1);
    const parts = { bias: true, addend: true, relu: false, transposed: false };
    const together = run(sizes, numbers, parts);
    const one = (values: Float32Array, i: number) => values.slice((values.length / 9) * i, (values.length / 9) * (i + 1));
    for (const i of [0, 4, 8]) {
      const alone = run({ ...sizes, batch: 1 }, { ...numbers, x: one(numbers.x, i), addend: one(numbers.addend, i) }, parts);
      expect(alone).toEqual(one(together, i));
    }
  });

  it('keep what is not a number, and refuse what does not fit', (context) => {
    if (!ops) return context.skip();
    const x = tf.tensor4d([NaN, 1, 1, 1, 1, 1], [1, 1, 6, 1]);
    const filter = tf.ones([3, 3, 1, 1]);
    const bias = tf.zeros([1]);
    const y = ops.conv3x3(x, filter, { bias, relu: true });
    const values = y.dataSync();
    expect([values[0], values[1]]).toEqual([NaN, NaN]);
    expect([...values.slice(4)]).toEqual([3, 2]);
    expect(() => ops!.conv3x3(x, tf.ones([3, 3, 2, 1]), {})).toThrow('x and the filter differ in channels');
    expect(() => ops!.conv3x3(x, tf.ones([1, 3, 1, 1]), {})).toThrow('a filter [3, 3, C, K]');
    expect(() => ops!.conv3x3(x, filter, { bias: tf.zeros([2]) })).toThrow('a bias for every output channel');
    expect(() => ops!.conv3x3(x, filter, { bias, addend: tf.zeros([1, 6, 1, 1]) })).toThrow("an addend of the output's shape");
    expect(ops.conv3x3(tf.zeros([0, 6, 6, 1]), filter, { bias }).shape).toEqual([0, 6, 6, 1]);
    tf.dispose([x, filter, bias, y]);
  });

  it('are taken by a layer whose map is big enough, and its gradients are those of the plain convolution', (context) => {
    if (!ops) return context.skip();
    const sizes = { batch: 2, height: 23, width: 24, inChannels: 64, outChannels: 96 };
    const random = new Random(11);
    const numbers = numbersOf(sizes, () => random.integer(5) - 2);
    const x = tf.tensor4d(numbers.x, [2, 23, 24, 64]);
    const filter = tf.tensor4d(numbers.filter, [3, 3, 64, 96]);
    const bias = tf.tensor1d(numbers.bias);
    const addend = tf.tensor4d(numbers.addend, [2, 23, 24, 96]);
    const dy = tf.tensor4d(
      numbers.addend.map((value) => value - 1),
      [2, 23, 24, 96],
    );
    const geometry = { stride: 1, padding: 1, dilation: 1 };
    const fast = (...t: tf.Tensor[]): tf.Tensor =>
      fusedConv2d(t[0] as tf.Tensor4D, t[1] as tf.Tensor4D, t[2] as tf.Tensor1D, t[3] as tf.Tensor4D, geometry, 'relu')!;
    const plain = (...t: tf.Tensor[]): tf.Tensor =>
      tf.relu(tf.add(tf.add(tf.conv2d(t[0] as tf.Tensor4D, t[1] as tf.Tensor4D, 1, 'same'), t[2]), t[3]));
    const inputs = [x, filter, bias, addend];
    const before = tf.memory().numTensors;
    // Sums of whole numbers: equal, whatever their order.
    const all = (f: (...t: tf.Tensor[]) => tf.Tensor) => {
      const outputs = tf.tidy(() => [f(...inputs), ...tf.grads(f)(inputs, dy)]);
      const values = outputs.map((tensor) => tensor.dataSync());
      tf.dispose(outputs);
      return values;
    };
    const spy = vi.spyOn(tf.backend() as unknown as { executeSingleOutput(name: string): tf.Tensor }, 'executeSingleOutput');
    const got = all(fast);
    const used = spy.mock.calls.map(([name]) => name);
    spy.mockRestore();
    // The value, the value that the gradients need, and the gradient for x.
    expect(used.filter((name) => name === 'MaskRcnnConv3x3')).toHaveLength(3);
    expect(used).not.toContain('Conv2DBackpropInput');
    if (ops.hasFilterGradient) {
      expect(used.filter((name) => name === 'MaskRcnnConv3x3FilterGradient')).toHaveLength(1);
      expect(used).not.toContain('Conv2DBackpropFilter');
    }
    expect(tf.memory().numTensors).toBe(before);
    const right = all(plain);
    got.forEach((values, i) => expect(values).toEqual(right[i]));
    tf.dispose([...inputs, dy]);
  });
});
