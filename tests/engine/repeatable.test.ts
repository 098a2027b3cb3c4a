import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { parseConfig } from '../../src/config/index.js';
import { prepareTraining } from '../../src/engine/training_run.js';
import { findLastCheckpoint } from '../../src/engine/training_checkpoint.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { devices, useDevice } from '../ops/devices.js';

const folder = mkdtempSync(join(tmpdir(), 'repeatable-'));
let data: ReturnType<typeof writeTinyData>;
beforeAll(() => {
  data = writeTinyData(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Run {
  name: string;
  iterations: number;
  seed?: number;
  /** Where it is stopped before its end. */
  stopAt?: number;
  resume?: boolean;
  /** Threads that load ahead. */
  threads?: number;
}

/** Trains a very small Mask R-CNN with flips, two sizes, momentum and a moving average. @returns every step's losses, and all that the checkpoint holds */
async function train(device: string, { name, iterations, seed = 7, stopAt, resume = false, threads = 0 }: Run) {
  const overrides = [
    `DATALOADER.NUM_WORKERS=${threads}`,
    `SOLVER.MAX_ITER=${iterations}`,
    'SOLVER.CHECKPOINT_PERIOD=1000',
    'SOLVER.EMA_DECAY=0.9',
    `SEED=${seed}`,
  ];
  const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', overrides);
  const losses: Record<string, number>[] = [];
  const output = join(folder, `${device}-${name}`);
  const run = await prepareTraining({
    config,
    weights: 'none',
    train: { json: data.json, images: data.images },
    output,
    device: device as 'cpu',
    resume,
    hooks: [
      {
        afterStep(trainer, step) {
          losses.push(step.losses);
          if (trainer.iteration === stopAt) trainer.stop('enough');
        },
      },
    ],
  });
  try {
    await run.train();
  } finally {
    await run.dispose();
  }
  const { tensors } = await readCheckpoint((await findLastCheckpoint(output))!);
  return { losses, tensors: new Map([...tensors].map(([key, tensor]) => [key, tensor.toFloat32()])) };
}

describe.each(devices.filter((device) => device === 'cpu' || device === 'wasm'))('training on %s', (device) => {
  beforeAll(() => useDevice(device));

  it('gives the losses of 50 iterations again with the same seed, to the last bit', { timeout: 600_000 }, async () => {
    const before = tf.memory().numTensors;
    const first = await train(device, { name: 'first', iterations: 50 });
    const again = await train(device, { name: 'again', iterations: 50 });
    expect(first.losses).toHaveLength(50);
    expect(again.losses).toEqual(first.losses);
    expect(again.tensors).toEqual(first.tensors);
    const other = await train(device, { name: 'other', iterations: 2, seed: 8 });
    expect(other.losses[1]).not.toEqual(first.losses[1]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('goes on where it was stopped, to the last bit: 20 = 10 + 10', { timeout: 600_000 }, async () => {
    const whole = await train(device, { name: 'whole', iterations: 20 });
    const start = await train(device, { name: 'parts', iterations: 20, stopAt: 10 });
    const rest = await train(device, { name: 'parts', iterations: 20, resume: true });
    expect(start.losses).toHaveLength(10);
    expect([...start.losses, ...rest.losses]).toEqual(whole.losses);
    // Weights, momentum and moving average.
    expect([...rest.tensors.keys()].some((key) => key.startsWith('optimizer.momentum.'))).toBe(true);
    expect(rest.tensors).toEqual(whole.tensors);
    if (device !== 'wasm') return;
    // Threads that have loaded ahead of the stop change nothing.
    const ahead = await train(device, { name: 'ahead', iterations: 20, stopAt: 7, threads: 1 });
    const behind = await train(device, { name: 'ahead', iterations: 20, resume: true, threads: 1 });
    expect([...ahead.losses, ...behind.losses]).toEqual(whole.losses);
    expect(behind.tensors).toEqual(whole.tensors);
  });
});
