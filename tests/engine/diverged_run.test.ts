import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { parseConfig } from '../../src/config/index.js';
import type { Hook } from '../../src/engine/hooks/hook.js';
import { findLastCheckpoint } from '../../src/engine/training_checkpoint.js';
import { prepareTraining } from '../../src/engine/training_run.js';
import { readMetrics } from '../../src/engine/writers/json_lines_writer.js';
import { DivergenceError } from '../../src/errors.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';
import { useDevice } from '../ops/devices.js';
import '../../src/backends/wasm.js';

const folder = mkdtempSync(join(tmpdir(), 'diverged-'));
let data: ReturnType<typeof writeTinyData>;
beforeAll(async () => {
  await useDevice('wasm');
  data = writeTinyData(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Trains a very small Mask R-CNN until it ends. @returns the error that ended it */
async function train(name: string, hooks: Hook[], overrides: string[], resume = false): Promise<Error | undefined> {
  const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', ['SOLVER.MAX_ITER=8', ...overrides]);
  const run = await prepareTraining({
    config,
    weights: 'none',
    train: { json: data.json, images: data.images },
    output: join(folder, name),
    device: 'wasm',
    logPeriod: 1,
    resume,
    hooks,
  });
  try {
    await run.train();
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    await run.dispose();
  }
}

describe('a Mask R-CNN that diverges', () => {
  it('by a gradient that overflows where the losses are still finite names the weights, and leaves the run as it was before', async () => {
    const before = tf.memory().numTensors;
    const overflow: Hook = {
      async beforeStep({ iteration, options: { model } }) {
        if (iteration !== 5) return;
        const predictor = model.modelParameters().find(({ name }) => name === 'roi_heads.mask_head.predictor.weight')!;
        predictor.set((await predictor.get()).map((value) => value * 1e24));
      },
    };
    const error = await train('gradient', [overflow], ['SOLVER.CHECKPOINT_PERIOD=2']);
    expect(error).toBeInstanceOf(DivergenceError);
    expect(error!.message).toMatch(
      /^Training diverged at iteration 5, images \d \(.*\.png\), \d \(.*\.png\): the losses are finite/,
    );
    // The boxes' head is before the mask's and does not see it.
    expect(error!.message).not.toMatch(/roi_heads\.box_/);
    expect(error!.message).toMatch(
      /roi_heads\.mask_head \(\d of 6 weights: roi_heads\.mask_head\.mask_fcn1\.weight has norm Infinity\)/,
    );
    const output = join(folder, 'gradient');
    const batch = await readCheckpoint(join(output, 'diverged_batch_5.safetensors'));
    expect(batch.tensors.get('1.boxes')!.shape).toEqual([2, 4]);
    expect((await readMetrics(join(output, 'metrics.jsonl'))).map((row) => row.iteration)).toEqual([0, 1, 2, 3, 4]);
    const page = readFileSync(join(output, 'report.html'), 'utf8');
    expect(page).toMatch(/<p>Ended by an error: iteration 4\.<\/p>\n<pre>Training diverged at iteration 5,/);
    expect(await findLastCheckpoint(output)).toBe(join(output, 'checkpoints/iteration_0000004.safetensors'));
    // What is advised: on from the last checkpoint.
    expect(await train('gradient', [], ['SOLVER.BASE_LR=0.0001'], true)).toBeUndefined();
    expect(await findLastCheckpoint(output)).toMatch(/iteration_0000008/);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('by a rate that is too high names the loss or the weights', async () => {
    const rate = ['SOLVER.BASE_LR=1e7', 'SOLVER.WARMUP_ITERS=0', 'SOLVER.CLIP_GRADIENTS.ENABLED=False'];
    const error = await train('rate', [], rate);
    expect(error).toBeInstanceOf(DivergenceError);
    expect(error!.message).toMatch(/diverged at iteration [1-7], images .*The batch is saved in .*Lower SOLVER\.BASE_LR/s);
    expect(existsSync(join(folder, 'rate', 'model.safetensors'))).toBe(false);
  });
});
