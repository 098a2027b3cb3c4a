import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Tape } from '../../src/autodiff/tape.js';
import { Random } from '../../src/data/random.js';
import { batchNormTraining } from '../../src/layers/batch_norm_op.js';
import { Conv2d } from '../../src/layers/conv2d.js';
import { devices, useDevice } from '../ops/devices.js';

const [shape, channels, epsilon] = [[2, 3, 5, 4] as const, 4, 1e-5];
const pixels = 30;
const random = new Random(6);
const noise = (n: number): Float64Array => Float64Array.from({ length: n }, () => random.normal());
const [x, weight, bias, dy] = [noise(120), noise(4), noise(4), noise(120)];

function statistics(values: Float64Array, channel: number): { mean: number; variance: number } {
  const own = values.filter((_, i) => i % channels === channel);
  const mean = own.reduce((a, b) => a + b, 0) / pixels;
  return { mean, variance: own.reduce((total, v) => total + (v - mean) ** 2, 0) / pixels };
}

/** The sum of dy times the normalised map, in float64. */
function objective(values: Float64Array, scale: Float64Array, shift: Float64Array): number {
  let sum = 0;
  for (let c = 0; c < channels; c++) {
    const { mean, variance } = statistics(values, c);
    for (let at = c; at < values.length; at += channels)
      sum += dy[at]! * (((values[at]! - mean) / Math.sqrt(variance + epsilon)) * scale[c]! + shift[c]!);
  }
  return sum;
}

/** Central differences in float64. */
function differences(array: Float64Array): number[] {
  return Array.from(array, (value, i) => {
    array[i] = value + 1e-6;
    const above = objective(x, weight, bias);
    array[i] = value - 1e-6;
    const below = objective(x, weight, bias);
    array[i] = value;
    return (above - below) / 2e-6;
  });
}

describe.each(devices)('batch norm by the statistics of the batch on %s', (device) => {
  beforeAll(() => useDevice(device));

  // Processes exchange sums where a tensor can be read at once, which webgpu in Node cannot.
  const itOnHosts = device === 'webgpu' ? () => {} : it;
  itOnHosts('of two parts that exchange their sums has the value and the gradients of the whole', async () => {
    const before = tf.memory().numTensors;
    // The first picture is this part's; the second's sums come from outside, worked out in float64.
    const half = 60;
    const whole = Array.from({ length: channels }, (_, c) => statistics(x, c));
    const unit = (i: number) => (x[i]! - whole[i % channels]!.mean) / Math.sqrt(whole[i % channels]!.variance + epsilon);
    const sums = (value: (i: number) => number): number[] =>
      Array.from({ length: channels }, (_, c) => {
        let sum = 0;
        for (let i = half + c; i < 2 * half; i += channels) sum += value(i);
        return sum;
      });
    const others = [
      sums((i) => x[i]!),
      sums((i) => (x[i]! - whole[i % channels]!.mean) ** 2),
      [...sums((i) => dy[i]!), ...sums((i) => dy[i]! * unit(i))],
    ];
    let call = 0;
    const exchange = (own: Float64Array): void => [...others[call++]!, pixels / 2].forEach((sum, i) => (own[i] = own[i]! + sum));
    const [map, scale, shift] = [x.subarray(0, half), weight, bias].map((array) => tf.tensor(Float32Array.from(array)));
    const upstream = tf.tensor(Float32Array.from(dy.subarray(0, half)), [1, 3, 5, 4]);
    const found: tf.Tensor[] = [];
    const { value, grads } = tf.valueAndGrads((a: tf.Tensor, w: tf.Tensor, b: tf.Tensor) => {
      const part = tf.reshape(a, [1, 3, 5, 4]) as tf.Tensor4D;
      const { y, mean, variance } = batchNormTraining(
        part,
        w as tf.Tensor1D,
        b as tf.Tensor1D,
        epsilon,
        undefined,
        'linear',
        exchange,
      );
      found.push(tf.keep(tf.clone(mean)), tf.keep(tf.clone(variance)));
      return tf.sum(tf.mul(y, upstream));
    })([map!, scale!, shift!]);
    expect(call).toBe(3);
    let wanted = 0;
    for (let i = 0; i < half; i++) wanted += dy[i]! * (unit(i) * weight[i % channels]! + bias[i % channels]!);
    expect(Math.abs((await value.data())[0]! - wanted)).toBeLessThan(2e-5);
    const [mean, variance] = await Promise.all(found.map((tensor) => tensor.data()));
    whole.forEach((right, c) => {
      expect(Math.abs(mean![c]! - right.mean)).toBeLessThan(1e-6);
      expect(Math.abs(variance![c]! - (right.variance * pixels) / (pixels - 1))).toBeLessThan(1e-6);
    });
    const dx = differences(x);
    (await grads[0]!.data()).forEach((got, i) => expect(Math.abs(got - dx[i]!)).toBeLessThan(2e-5));
    // The part's own share: with that of the other part, the gradient of the whole.
    const [dWeight, dBias] = [differences(weight), differences(bias)];
    (await grads[1]!.data()).forEach((got, c) =>
      expect(Math.abs(got + others[2]![channels + c]! - dWeight[c]!)).toBeLessThan(2e-5),
    );
    (await grads[2]!.data()).forEach((got, c) => expect(Math.abs(got + others[2]![c]! - dBias[c]!)).toBeLessThan(2e-5));
    tf.dispose([map!, scale!, shift!, upstream, value, ...grads, ...found]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('moves the running statistics while recording, and normalises by them otherwise', async () => {
    const layer = new Conv2d({ inChannels: channels, outChannels: channels, kernelSize: 1, norm: 'BN' });
    const parameters = new Map(layer.modelParameters().map((parameter) => [parameter.name, parameter]));
    parameters.get('weight')!.set(Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0)));
    parameters.get('norm.weight')!.set(Float32Array.from(weight));
    parameters.get('norm.bias')!.set(Float32Array.from(bias));
    const map = tf.tensor4d(Float32Array.from(x), [...shape]);
    const before = tf.memory().numTensors;
    const tape = new Tape();
    tape.record(() => layer.forward(map)).dispose();
    tape.dispose();
    expect(tf.memory().numTensors).toBe(before);
    const [mean, variance] = [await parameters.get('norm.running_mean')!.get(), await parameters.get('norm.running_var')!.get()];
    const wanted = Array.from({ length: channels }, (_, c) => {
      const own = statistics(x, c);
      return { mean: 0.1 * own.mean, variance: 0.9 + (0.1 * own.variance * pixels) / (pixels - 1) };
    });
    for (let c = 0; c < channels; c++) {
      expect(Math.abs(mean[c]! - wanted[c]!.mean)).toBeLessThan(1e-6);
      expect(Math.abs(variance[c]! - wanted[c]!.variance)).toBeLessThan(1e-6);
    }
    const judge = async (): Promise<void> => {
      const y = layer.forward(map);
      (await y.data()).forEach((got, i) => {
        const c = i % channels;
        const right = ((x[i]! - wanted[c]!.mean) / Math.sqrt(wanted[c]!.variance + epsilon)) * weight[c]! + bias[c]!;
        expect(Math.abs(got - right)).toBeLessThan(1e-5);
      });
      y.dispose();
    };
    await judge();
    layer.fold();
    await judge();
    layer.dispose();
    map.dispose();
  });

  it('keeps still where it is frozen', async () => {
    const layer = new Conv2d({ inChannels: channels, outChannels: channels, kernelSize: 1, norm: 'BN' });
    layer.freeze();
    const map = tf.tensor4d(Float32Array.from(x), [...shape]);
    const tape = new Tape();
    tape.record(() => layer.forward(map)).dispose();
    tape.dispose();
    const running = layer.modelParameters().find(({ name }) => name === 'norm.running_mean')!;
    expect([...(await running.get())]).toEqual([0, 0, 0, 0]);
    expect(layer.modelParameters().every(({ trainable }) => !trainable)).toBe(true);
    layer.dispose();
    map.dispose();
  });
});
