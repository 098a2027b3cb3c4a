import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Tape } from '../../src/autodiff/tape.js';
import { Random } from '../../src/data/random.js';
import { Conv2d } from '../../src/layers/conv2d.js';
import { devices, useDevice } from '../ops/devices.js';

const [shape, channels, epsilon] = [[2, 3, 5, 4] as const, 4, 1e-5];
const pixels = 30;
const random = new Random(6);
const noise = (n: number): Float64Array => Float64Array.from({ length: n }, () => random.normal());
const [x, weight, bias] = [noise(120), noise(4), noise(4)];

function statistics(values: Float64Array, channel: number): { mean: number; variance: number } {
  const own = values.filter((_, i) => i % channels === channel);
  const mean = own.reduce((a, b) => a + b, 0) / pixels;
  return { mean, variance: own.reduce((total, v) => total + (v - mean) ** 2, 0) / pixels };
}

describe.each(devices)('batch norm by the statistics of the batch on %s', (device) => {
  beforeAll(() => useDevice(device));

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
