import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../src/checkpoint/parse_safetensors.js';
import { CropPooler, levelOf } from '../../src/roi_heads/crop_pooler.js';
import { devices, useDevice } from '../ops/devices.js';

const file = new URL('../fixtures/matterport/golden.safetensors', import.meta.url);
const { tensors } = parseSafetensors(new Uint8Array(readFileSync(file)), 'golden.safetensors');
const truth = (name: string) => tensors.get(`crop.${name}`)!.toFloat32();

describe.each(devices)('CropPooler on %s', (device) => {
  beforeAll(() => useDevice(device));

  it("gives TensorFlow's crops, with zeros where its roundings leave the map", async () => {
    const pooler = CropPooler.fromConfig({ POOLER_RESOLUTION: 7 }, ['p2'], { p2: { channels: 2, stride: 4 } });
    const boxes = truth('boxes').map((_, i, all) => all[i ^ 1]!);
    const images = tensors.get('crop.images')!.toFloat32();
    const first = images.indexOf(1) * 4;
    const before = tf.memory().numTensors;
    const p2 = tf.tensor4d(truth('maps'), [2, 32, 32, 2]);
    const regions = pooler.forward({ p2 }, [boxes.subarray(0, first), boxes.subarray(first)]);
    const [own, expected] = [await regions.data(), truth('regions')];
    expect(regions.shape).toEqual([images.length, 7, 7, 2]);
    tf.dispose([p2, regions]);
    expect(tf.memory().numTensors).toBe(before);
    const zeros = expected.filter((v) => v === 0).length;
    expect(zeros).toBeGreaterThan(0);
    for (let i = 0; i < expected.length; i++) {
      expect(Math.abs(own[i]! - expected[i]!)).toBeLessThan(1e-4);
      expect(own[i] === 0).toBe(expected[i] === 0);
    }
  });

  it('no boxes give no regions', () => {
    const pooler = CropPooler.fromConfig({ POOLER_RESOLUTION: 7 }, ['p2'], { p2: { channels: 2, stride: 4 } });
    const regions = tf.tidy(() => pooler.forward({ p2: tf.zeros([1, 8, 8, 2]) }, [new Float32Array(0)]));
    expect(regions.shape).toEqual([0, 7, 7, 2]);
    regions.dispose();
  });
});

describe('levelOf', () => {
  // 224 pixels of 1024 are level 4; the change lies at the square root of 2 times that, whose level rounds to the nearest.
  it.each([
    [224, 4],
    [112, 3],
    [448, 5],
    [224 * 1.41, 4],
    [224 * 1.42, 5],
    [224 / 1.41, 4],
    [224 / 1.42, 3],
    [0, -Infinity],
  ])('a square of %d pixels: %d', (side, level) => {
    expect(levelOf(Float32Array.of(0.1, 0.1, 0.1 + side / 1024, 0.1 + side / 1024), 1024)).toBe(level);
  });
});
