import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Tape } from '../../src/autodiff/tape.js';
import { RegNet, regNetStages } from '../../src/backbone/regnet.js';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import type { TensorData } from '../../src/checkpoint/tensor_data.js';
import { getConfig } from '../../src/config/index.js';
import { ConfigError } from '../../src/errors.js';
import { devices, useDevice } from '../ops/devices.js';
import '../../src/backends/cpu.js';
import '../../src/backends/wasm.js';

const SETTINGS = { depth: 7, stemWidth: 8, w0: 16, wa: 10.5, wm: 1.7, groupWidth: 8, norm: 'BN', freezeAt: 0 };
const STAGES = ['s1', 's2', 's3', 's4'];

/** A network of `scripts/goldens/regnet_golden.py` with its weights. */
async function open(kind: 'x' | 'y'): Promise<{ model: RegNet; golden: ReadonlyMap<string, TensorData>; x: tf.Tensor4D }> {
  const file = fileURLToPath(new URL(`../fixtures/regnet/${kind}.safetensors`, import.meta.url));
  const { tensors: golden } = await readSafetensors(file);
  const model = new RegNet({ ...SETTINGS, seRatio: kind === 'y' ? 0.25 : 0 });
  const wanted = [...golden.keys()].filter((name) => name.startsWith('weight.')).map((name) => name.slice('weight.'.length));
  expect(
    model
      .modelParameters()
      .map(({ name }) => name)
      .sort(),
  ).toEqual(wanted.sort());
  for (const { name, shape, set } of model.modelParameters()) {
    const tensor = golden.get(`weight.${name}`)!;
    expect(shape, name).toEqual(tensor.shape);
    set(tensor.toFloat32());
  }
  return { model, golden, x: tf.tidy(() => nhwc(golden.get('x')!)) };
}

const nhwc = (tensor: TensorData): tf.Tensor4D =>
  tf.transpose(tf.tensor4d(tensor.toFloat32(), tensor.shape as [number, number, number, number]), [0, 2, 3, 1]);

/** The largest difference beside the largest value. */
async function off(ours: tf.Tensor4D, wanted: TensorData): Promise<number> {
  const turned = tf.transpose(ours, [0, 3, 1, 2]);
  expect(turned.shape).toEqual(wanted.shape);
  const [a, b] = [await turned.data<'float32'>(), wanted.toFloat32()];
  turned.dispose();
  let [worst, largest] = [0, 0];
  for (const [i, v] of b.entries()) {
    worst = Math.max(worst, Math.abs(a[i]! - v));
    largest = Math.max(largest, Math.abs(v));
  }
  return worst / largest;
}

describe.each(devices)("a RegNet on %s, compared with Detectron2's", (device) => {
  beforeAll(() => useDevice(device));

  it.each(['x', 'y'] as const)('%s gives the stages, as it is and folded', async (kind) => {
    const { model, golden, x } = await open(kind);
    const before = tf.memory().numTensors;
    for (const folded of [false, true]) {
      if (folded) model.fold();
      const tensors = tf.memory().numTensors;
      const maps = model.forward(x);
      expect(Object.keys(maps)).toEqual(STAGES);
      expect(tf.memory().numTensors).toBe(tensors + 4);
      for (const name of STAGES) expect(await off(maps[name]!, golden.get(`eval.${name}`)!), name).toBeLessThan(2e-5);
      tf.dispose(maps);
    }
    expect(tf.memory().numTensors).toBeLessThanOrEqual(before);
    x.dispose();
    model.dispose();
  });

  it.each(['x', 'y'] as const)('%s gives stages, gradients and running statistics of a training step', async (kind) => {
    const { model, golden, x } = await open(kind);
    const parameters = model.modelParameters();
    const trained = parameters.filter(({ trainable }) => trainable);
    const tape = new Tape();
    const { maps, loss } = tape.record(() =>
      tf.tidy(() => {
        const found = model.forward(x);
        const sums = Object.values(found).map((map) => {
          const turned = tf.transpose(map, [0, 3, 1, 2]);
          const factors = tf.tensor(
            Float32Array.from({ length: map.size }, (_, i) => Math.cos(i)),
            turned.shape,
          );
          return tf.sum<tf.Scalar>(tf.mul(turned, factors));
        });
        return { maps: found, loss: tf.addN(sums) as tf.Scalar };
      }),
    );
    for (const name of STAGES) expect(await off(maps[name]!, golden.get(`train.${name}`)!), name).toBeLessThan(5e-5);
    const gradients = tape.gradients(
      loss,
      trained.map(({ variable }) => variable),
    );
    const wanted = trained.map(({ name }) => golden.get(`norm.${name}`)!.toFloat32()[0]!);
    const largest = Math.max(...wanted);
    for (const [i, { name }] of trained.entries()) {
      const norm = Math.hypot(...(await gradients[i]!.data()));
      expect(Math.abs(norm - wanted[i]!), name).toBeLessThan(1e-3 * wanted[i]! + 1e-6 * largest);
    }
    for (const { name, get } of parameters.filter(({ kind: of }) => of === 'buffer')) {
      const after = golden.get(`after.${name}`)!.toFloat32();
      for (const [i, v] of (await get()).entries())
        expect(Math.abs(v - after[i]!), name).toBeLessThan(1e-4 * (1 + Math.abs(after[i]!)));
    }
    tf.dispose([gradients.filter((gradient) => gradient !== undefined), Object.values(maps), loss, x]);
    model.dispose();
  });
});

describe('RegNet', () => {
  it('has the widths and depths of the published ones', () => {
    // RegNetX-4GF and RegNetY-4GF of the paper's tables.
    const x = regNetStages({ depth: 23, w0: 96, wa: 38.65, wm: 2.43, groupWidth: 40 });
    expect(x.map(({ width, depth }) => [width, depth])).toEqual([[80, 2], [240, 5], [560, 14], [1360, 2]]); // prettier-ignore
    const y = regNetStages({ depth: 22, w0: 96, wa: 31.41, wm: 2.24, groupWidth: 64 });
    expect(y.map(({ width, depth }) => [width, depth])).toEqual([[128, 2], [192, 6], [512, 12], [1088, 2]]); // prettier-ignore
  });

  it('freezes its first stages, and says which settings make none', () => {
    const model = new RegNet({ ...SETTINGS, seRatio: 0, freezeAt: 2 });
    const trained = model.modelParameters().filter(({ trainable }) => trainable);
    expect(trained.every(({ name }) => /^s[234]\./.test(name))).toBe(true);
    expect(trained.length).toBeGreaterThan(0);
    model.dispose();
    const cfg = getConfig('new_baselines/mask_rcnn_regnetx_4gf_dds_FPN_100ep_LSJ', ['MODEL.REGNETS.W_M=1.0']);
    expect(() => RegNet.fromConfig(cfg)).toThrow(ConfigError);
    expect(() => RegNet.fromConfig(cfg)).toThrow(/W_M above 1; .*W_M 1\./);
  });
});
