import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import type { TrainingSample } from '../structures/training_sample.js';
import type { MaskBranch } from './mask_branch.js';
import { maskBatch, maskLoss, maskMetrics } from './mask_loss.js';
import type { RoiLosses } from './roi_heads.js';
import type { SampledProposals } from './sample_proposals.js';

/** The loss of the mask branch on the foreground of the sampled regions, 0 where there is none. */
export function maskBranchLosses(
  mask: MaskBranch,
  features: FeatureMaps,
  sampled: readonly SampledProposals[],
  samples: readonly TrainingSample[],
): Pick<RoiLosses, 'losses' | 'pending'> {
  if (sampled.every(({ foregroundCount }) => foregroundCount === 0)) return { losses: { loss_mask: tf.scalar(0) }, pending: [] };
  const batch = maskBatch(sampled, samples, mask.size);
  const { loss_mask, counts } = tf.tidy(() => maskLoss(mask.forward(features, batch.boxes), batch));
  const toMetrics = (values: Float32Array): Record<string, number> => maskMetrics(values, batch.targets.length);
  return { losses: { loss_mask }, pending: [{ values: counts, toMetrics }] };
}
