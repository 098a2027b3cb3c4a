import { totalmem } from 'node:os';
import type { Config } from '../../config/index.js';
import type { ModelParameter } from '../../layers/module.js';
import { type DatasetFacts, inputScale, quantile } from './dataset_facts.js';

const BLOCKS: Record<number, readonly number[]> = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
};

/** Values that forward and backward keep of every value of a map: it, its normalised form, its gradient. */
const KEPT = 3;

/** What a weight takes. */
export type WeightShape = Pick<ModelParameter, 'shape' | 'trainable'>;

/** A step may take this share of the memory. */
export const MEMORY_SHARE = 0.8;

/** Such as `1.5 GB`. */
export function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GB`;
}

/** Bytes that this process may use. */
export function machineMemory(): number {
  const limit = process.constrainedMemory?.() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/**
 * Roughly how many bytes a training step takes: weights with gradients, velocities and averages, and the maps that the backward pass needs.
 * Right within a factor of about two.
 */
export function estimateMemory(cfg: Config, facts: DatasetFacts, parameters: readonly WeightShape[]): number {
  const { MODEL, SOLVER, INPUT } = cfg;
  const size = (p: WeightShape) => p.shape.reduce((a, b) => a * b, 1);
  const all = parameters.reduce((sum, p) => sum + size(p), 0);
  const trained = parameters.filter((p) => p.trainable).reduce((sum, p) => sum + size(p), 0);
  const slots = (SOLVER.OPTIMIZER === 'ADAMW' ? 2 : 1) + (SOLVER.EMA_DECAY > 0 ? 1 : 0);
  const short = Math.max(...INPUT.MIN_SIZE_TRAIN);
  const pixels = quantile(
    facts.sizes.map(([h, w]) => h * w * inputScale([h, w], short, INPUT.MAX_SIZE_TRAIN) ** 2),
    0.9,
  );
  const perPixel = valuesPerPixel(cfg);
  const regions = MODEL.META_ARCHITECTURE === 'GeneralizedRCNN' ? valuesOfHeads(cfg) : 0;
  const maps = SOLVER.IMS_PER_BATCH * (pixels * perPixel + regions) * KEPT;
  return 4 * (all + trained * (1 + slots) + maps);
}

/** Values of all maps of backbone, pyramid and RPN that train, for each pixel of the input. */
function valuesPerPixel({ MODEL }: Config): number {
  const { DEPTH, RES2_OUT_CHANNELS, STEM_OUT_CHANNELS } = MODEL.RESNETS;
  const freeze = MODEL.BACKBONE.FREEZE_AT;
  // A bottleneck has two narrow maps and two wide ones (its own and the sum); a basic block three of one width.
  const maps = DEPTH < 50 ? 3 : 2.5;
  const stages = (BLOCKS[DEPTH] ?? BLOCKS[50]).map((blocks, i) =>
    freeze >= i + 2 ? 0 : (blocks * maps * RES2_OUT_CHANNELS * 2 ** i) / 16 / 4 ** i,
  );
  const stem = freeze >= 1 ? 0 : STEM_OUT_CHANNELS / 4 + STEM_OUT_CHANNELS / 16;
  // Lateral, output and the RPN's convolution on strides 4 to 64.
  const pyramid = (3 * MODEL.FPN.OUT_CHANNELS * (4 / 3)) / 16;
  return stem + stages.reduce((a, b) => a + b, 0) + pyramid;
}

/** Values of the heads' maps for each picture. */
function valuesOfHeads({ MODEL }: Config): number {
  const { BATCH_SIZE_PER_IMAGE: regions, POSITIVE_FRACTION } = MODEL.ROI_HEADS;
  const channels = MODEL.FPN.OUT_CHANNELS;
  const box =
    regions * (MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION ** 2 * channels + MODEL.ROI_BOX_HEAD.NUM_FC * MODEL.ROI_BOX_HEAD.FC_DIM);
  if (!MODEL.MASK_ON) return box;
  const { POOLER_RESOLUTION, NUM_CONV, CONV_DIM } = MODEL.ROI_MASK_HEAD;
  const mask = regions * POSITIVE_FRACTION * POOLER_RESOLUTION ** 2 * (channels + NUM_CONV * CONV_DIM + 4 * CONV_DIM);
  return box + mask;
}
