import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../src/config/index.js';
import { quickSize, sanityRun } from '../../src/engine/sanity_run.js';
import type { TrainingRunOptions } from '../../src/engine/training_run.js';
import { readMetrics } from '../../src/engine/writers/json_lines_writer.js';
import { SMALLEST_CONFIG, writeTinyData } from '../cli/tiny_data.js';

const folder = mkdtempSync(join(tmpdir(), 'sanity-run-'));
let data: ReturnType<typeof writeTinyData>;
beforeAll(() => {
  data = writeTinyData(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A sanity run that is stopped after its first steps. */
async function begin(name: string, config: TrainingRunOptions['config'], steps: number, more: Partial<TrainingRunOptions> = {}) {
  const lines: string[] = [];
  const result = await sanityRun({
    config,
    weights: 'none',
    train: { json: data.json, images: data.images },
    output: join(folder, name),
    device: 'wasm',
    print: (line) => lines.push(line),
    hooks: [{ afterStep: (trainer) => void (trainer.iteration === steps && trainer.stop('enough')) }],
    ...more,
  });
  const written = parse(readFileSync(join(folder, name, 'sanity/config.yaml'), 'utf8')) as Record<
    string,
    Record<string, unknown>
  >;
  return { result, lines, written };
}

describe('sanityRun', () => {
  it('keeps what it needs under a recipe, epochs and augmentations, and of the recipe the rest', async () => {
    const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', ['INPUT.MIN_SIZE_TEST=64']);
    config.MODEL.RESNETS.NORM = 'FrozenBN';
    const { result, lines, written } = await begin('auto', config, 1, {
      auto: { explicit: new Set() },
      epochs: 3,
      augmentations: [{ name: 'RandomBrightness', args: [0.5, 1.5] }],
    });
    expect(result).toMatchObject({ passed: false, iterations: 1, best: 0 });
    expect(written.SOLVER).toMatchObject({ MAX_ITER: 1500, OPTIMIZER: 'ADAMW', BASE_LR: 0.001, STEPS: [], IMS_PER_BATCH: 2 });
    expect(written.INPUT).toMatchObject({ RANDOM_FLIP: 'none', MIN_SIZE_TRAIN: [written.INPUT!.MIN_SIZE_TEST] });
    // The recipe's choices for random weights: channels of 8 do not fit groups.
    expect(written.MODEL!.RESNETS).toMatchObject({ NORM: 'BN' });
    expect(lines.find((line) => line.includes('SOLVER.MAX_ITER=9'))).toMatch(/3 passes over 6 pictures, 2 a step/);
    expect(lines.find((line) => line.startsWith('sanity:'))).toMatch(
      /4 pictures at a short side of \d+, without augmentation, AdamW at 0\.001, at most 1500 steps; the recipe's length, rate and sizes and the number of epochs and augmentations are for the training itself/,
    );
  });

  it('takes the smallest input at which anchors and pixels are enough', () => {
    const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', ['INPUT.MIN_SIZE_TEST=800', 'INPUT.MAX_SIZE_TEST=1333']);
    const at = (side: number) => {
      const objects = Array.from({ length: 8 }, () => ({ height: side, width: side, picture: [400, 600] as const }));
      return quickSize(config, { pictures: 4, withoutObjects: 0, sizes: [[400, 600]], objects, classNames: ['a'], counts: [8] });
    };
    expect(at(64)).toBe(320);
    // 32 pixels at the input: 24 x 560 / 400 is 33.6, 24 x 480 / 400 is 28.8.
    expect(at(24)).toBe(560);
    // Never 32 pixels large: as large as the config makes them.
    expect(at(12)).toBe(800);
    // Anchors of 128 pixels fit objects of 120 only where these are hardly made smaller.
    config.MODEL.ANCHOR_GENERATOR.SIZES = [[256]];
    expect(at(120)).toBe(640);
    config.INPUT.MIN_SIZE_TEST = 256;
    expect(at(64)).toBe(256);
  });

  it('judges a panoptic model by its objects and by the classes of its pixels', async () => {
    const semantic = join(folder, 'semantic');
    mkdirSync(semantic);
    for (let i = 0; i < 6; i++) {
      const labels = Uint8Array.from({ length: 64 * 64 }, (_, k) => (k < 32 * 64 ? 0 : 1));
      writeFileSync(join(semantic, `${i}.png`), encode({ width: 64, height: 64, data: labels, channels: 1, depth: 8 }));
    }
    const panoptic = SMALLEST_CONFIG.replace('GeneralizedRCNN', 'PanopticFPN').replace(
      'MASK_ON: true',
      'MASK_ON: true\n  SEM_SEG_HEAD: { NUM_CLASSES: 2, CONVS_DIM: 32, NORM: GN }',
    );
    const { config } = parseConfig(panoptic, 'panoptic.yaml');
    const { result, written } = await begin('panoptic', config, 1, {
      train: { json: data.json, images: data.images, semantic },
    });
    expect(result.iterations).toBe(1);
    expect(written.TEST!.BEST_METRIC).toBe('segm/AP');
    const [row] = await readMetrics(join(result.folder, 'metrics.jsonl'));
    expect(row!.loss_sem_seg).toBeGreaterThan(0);
  });
});
