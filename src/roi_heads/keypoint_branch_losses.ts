import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import type { TrainingSample } from '../structures/training_sample.js';
import type { KeypointBranch } from './keypoint_branch.js';
import { keypointBatch, keypointLoss } from './keypoint_loss.js';
import type { RoiLosses } from './roi_heads.js';
import type { SampledProposals } from './sample_proposals.js';

/** The loss of the keypoint branch on what of the foreground shows a keypoint, 0 where nothing does. */
export function keypointBranchLosses(
  keypoint: KeypointBranch,
  features: FeatureMaps,
  sampled: readonly SampledProposals[],
  samples: readonly TrainingSample[],
): Pick<RoiLosses, 'losses' | 'counts' | 'metrics'> {
  const batch = keypointBatch(sampled, samples, keypoint.count, keypoint.size);
  const { metrics } = batch;
  // With a number per image the loss is a mean over pictures.
  const counts: Record<string, number> = keypoint.loss.normalizer === 'visible' ? { loss_keypoint: batch.rows.length } : {};
  if (batch.rows.length === 0) return { losses: { loss_keypoint: tf.scalar(0) }, counts, metrics };
  const loss = tf.tidy(() => keypointLoss(keypoint.forward(features, batch.boxes), batch, keypoint.loss, samples.length));
  return { losses: { loss_keypoint: loss }, counts, metrics };
}
