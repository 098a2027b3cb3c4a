import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../config/index.js';
import { PendingRead } from '../ops/read_back.js';
import { buildRoiHeads } from '../roi_heads/build_roi_heads.js';
import { SemSegHead } from '../semantic/sem_seg_head.js';
import type { SemanticHead } from '../semantic/semantic_head.js';
import type { InputImage } from '../structures/image_list.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { GeneralizedRcnn, type GeneralizedRcnnOptions } from './generalized_rcnn.js';
import { type Inference, type InferenceOptions, traceInstances } from './meta_architecture.js';
import { ProposalNetwork } from './proposal_network.js';
import { labelOnDevice, semanticMaps } from './semantic_segmentor.js';
import type { BatchLosses, TrainingPass } from './training_pass.js';

export interface PanopticFpnOptions extends GeneralizedRcnnOptions {
  readonly semSegHead: SemanticHead;
  /** Of the losses of the heads on regions. */
  readonly instanceLossWeight: number;
}

/** Mask R-CNN and a semantic branch on one pyramid (Kirillov et al. 2019; Detectron2's `PanopticFPN`). */
export class PanopticFpn extends GeneralizedRcnn {
  constructor(override readonly options: PanopticFpnOptions) {
    super(options);
    this.child('sem_seg_head', options.semSegHead);
  }

  static override fromConfig(cfg: Config): PanopticFpn {
    const options = ProposalNetwork.optionsFromConfig(cfg);
    const { outShapes } = options.backbone;
    const roiHeads = buildRoiHeads(cfg, outShapes);
    const instanceLossWeight = cfg.MODEL.PANOPTIC_FPN.INSTANCE_LOSS_WEIGHT;
    return new PanopticFpn({ ...options, roiHeads, semSegHead: SemSegHead.fromConfig(cfg, outShapes), instanceLossWeight });
  }

  /** Finds things and the class of every pixel; they are merged once the masks have their final size. */
  override async infer(images: readonly InputImage[], options: InferenceOptions = {}): Promise<Inference> {
    const { features, proposals, imageSizes, times } = await this.propose(images, options);
    const { trace, signal, outputSizes = imageSizes } = options;
    let labels: tf.Tensor1D | undefined;
    try {
      const start = performance.now();
      labels = labelOnDevice(this.options.semSegHead, features, imageSizes, options);
      // The labels come back with the masks.
      const read = new PendingRead(labels);
      const { roiHeads, proposalGenerator } = this.options;
      const most = proposalGenerator.options.selection.postNmsTopK * images.length;
      if (options.warmUp) await roiHeads.warmUp(features, imageSizes, most, labels);
      const instances = await roiHeads.infer(features, proposals, imageSizes, trace, most, [read]);
      if (trace) instances.forEach((found, i) => traceInstances(trace, `raw.${i}`, found));
      const semantic = semanticMaps(await read.settle(), outputSizes);
      signal?.throwIfAborted();
      return { instances, semantic, times: { ...times, heads: performance.now() - start } };
    } finally {
      labels?.dispose();
      tf.dispose(features);
      if (proposals instanceof tf.Tensor) proposals.dispose();
    }
  }

  override async computeLosses(samples: readonly TrainingSample[], pass: TrainingPass): Promise<BatchLosses> {
    const { semSegHead, instanceLossWeight } = this.options;
    let semantic: { loss_sem_seg: tf.Scalar } | undefined;
    let pixels = 0;
    try {
      const found = await this.learnInstances(samples, pass, (features, paddedSize) => {
        const labels = semSegHead.paddedLabels(samples, paddedSize);
        pixels = semSegHead.countedPixels(labels);
        semantic = pass.record(() => semSegHead.computeLosses(features, labels));
      });
      if (instanceLossWeight !== 1) weighHeads(found.losses, instanceLossWeight, pass);
      return { ...found, losses: { ...found.losses, ...semantic }, counts: { ...found.counts, loss_sem_seg: pixels } };
    } catch (error) {
      if (semantic) tf.dispose(semantic);
      throw error;
    }
  }
}

/** Multiplies the losses of the heads on regions, not those of the proposals. */
function weighHeads(losses: Record<string, tf.Scalar>, weight: number, pass: TrainingPass): void {
  for (const name of Object.keys(losses)) {
    if (name.startsWith('loss_rpn_')) continue;
    const plain = losses[name];
    losses[name] = pass.record(() => tf.mul<tf.Scalar>(plain, weight));
    plain.dispose();
  }
}
