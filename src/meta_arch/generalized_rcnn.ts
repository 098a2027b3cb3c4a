import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import type { SampledProposals } from '../roi_heads/sample_proposals.js';
import { buildRoiHeads } from '../roi_heads/build_roi_heads.js';
import type { GivenDetections, RoiHeads } from '../roi_heads/roi_heads.js';
import type { InputImage } from '../structures/image_list.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { type Inference, type InferenceOptions, traceInstances } from './meta_architecture.js';
import { ProposalNetwork, type ProposalNetworkOptions } from './proposal_network.js';
import type { BatchLosses, HostTrace, TrainingPass } from './training_pass.js';

export interface GeneralizedRcnnOptions extends ProposalNetworkOptions {
  readonly roiHeads: RoiHeads;
}

/** Backbone, region proposals, heads (Ren et al. 2015; He et al. 2017; Detectron2's `GeneralizedRCNN`). */
export class GeneralizedRcnn extends ProposalNetwork {
  constructor(override readonly options: GeneralizedRcnnOptions) {
    super(options);
    this.child('roi_heads', options.roiHeads);
  }

  static override fromConfig(cfg: Config): GeneralizedRcnn {
    const options = ProposalNetwork.optionsFromConfig(cfg);
    return new GeneralizedRcnn({ ...options, roiHeads: buildRoiHeads(cfg, options.backbone.outShapes) });
  }

  override get isDivisible(): boolean {
    return this.options.roiHeads.isDivisible;
  }

  /** Detects objects in resized pictures of any sizes, together. */
  override async infer(images: readonly InputImage[], options: InferenceOptions = {}): Promise<Inference> {
    const { features, proposals, imageSizes, times } = await this.propose(images, options);
    try {
      const start = performance.now();
      const { roiHeads, proposalGenerator } = this.options;
      const most = proposalGenerator.options.selection.postNmsTopK * images.length;
      if (options.warmUp) await roiHeads.warmUp(features, imageSizes, most);
      const instances = options.boxesOnly
        ? await roiHeads.inferBoxesOnly(features, proposals, imageSizes, most)
        : await roiHeads.infer(features, proposals, imageSizes, options.trace, most);
      const { trace } = options;
      if (trace) instances.forEach((found, i) => traceInstances(trace, `raw.${i}`, found));
      return { instances, times: { ...times, heads: performance.now() - start } };
    } finally {
      tf.dispose(features);
      if (proposals instanceof tf.Tensor) proposals.dispose();
    }
  }

  /**
   * Masks, keypoints and, where they are not given, classes of boxes that the caller gives, without proposals (Detectron2's `inference` with
   * `detected_instances`).
   * @param given per image, in the frame of its resized picture
   */
  async inferGiven(
    images: readonly InputImage[],
    given: readonly GivenDetections[],
    options: InferenceOptions = {},
  ): Promise<Inference> {
    const start = performance.now();
    const list = this.preprocess(images, options);
    const prepared = performance.now();
    const features = tf.tidy(() => this.options.backbone.forward(tf.tensor4d(list.values, list.shape)));
    try {
      options.signal?.throwIfAborted();
      const { roiHeads, proposalGenerator } = this.options;
      // As many rows as the heads were warmed up for.
      const most = proposalGenerator.options.selection.postNmsTopK * images.length;
      const instances = await roiHeads.inferGiven(features, given, list.imageSizes, most);
      return { instances, times: { preprocess: prepared - start, proposals: 0, heads: performance.now() - prepared } };
    } finally {
      tf.dispose(features);
    }
  }

  /** The losses of proposals and heads together. */
  override computeLosses(samples: readonly TrainingSample[], pass: TrainingPass): Promise<BatchLosses> {
    return this.learnInstances(samples, pass);
  }

  /** @param onFeatures sees the maps before the heads do, with the padded input's (height, width): for further branches on them */
  protected async learnInstances(
    samples: readonly TrainingSample[],
    pass: TrainingPass,
    onFeatures?: (features: FeatureMaps, paddedSize: readonly [number, number]) => void,
  ): Promise<BatchLosses> {
    const { roiHeads } = this.options;
    const { features, paddedSize, proposals, losses, metrics } = await this.learnProposals(samples, pass);
    try {
      onFeatures?.(features, paddedSize);
      const sampled = roiHeads.sample(proposals, samples, pass.order);
      if (pass.trace) traceSampled(pass.trace, sampled);
      const heads = await roiHeads.learn(features, sampled, samples, pass);
      return {
        losses: { ...heads.losses, ...losses },
        ...(heads.counts ? { counts: heads.counts } : {}),
        metrics: { ...heads.metrics, ...metrics },
        pending: heads.pending,
      };
    } catch (error) {
      tf.dispose(losses);
      throw error;
    } finally {
      tf.dispose(features);
    }
  }
}

function traceSampled(trace: HostTrace, sampled: readonly SampledProposals[]): void {
  sampled.forEach(({ boxes, classes, targets }, i) => {
    trace(`sampled.${i}.proposal_boxes`, boxes, [classes.length, 4]);
    trace(`sampled.${i}.gt_classes`, classes, [classes.length]);
    trace(`sampled.${i}.gt_boxes`, targets, [classes.length, 4]);
  });
}
