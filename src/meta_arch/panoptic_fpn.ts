import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../config/index.js';
import { buildRoiHeads } from '../roi_heads/build_roi_heads.js';
import { SemSegHead } from '../semantic/sem_seg_head.js';
import type { InputImage } from '../structures/image_list.js';
import { GeneralizedRcnn, type GeneralizedRcnnOptions } from './generalized_rcnn.js';
import { type Inference, type InferenceOptions, traceInstances } from './meta_architecture.js';
import { ProposalNetwork } from './proposal_network.js';
import { inferSemantic } from './semantic_segmentor.js';

export interface PanopticFpnOptions extends GeneralizedRcnnOptions {
  readonly semSegHead: SemSegHead;
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
    return new PanopticFpn({ ...options, roiHeads, semSegHead: SemSegHead.fromConfig(cfg, outShapes) });
  }

  /** Finds things and the class of every pixel; they are merged once the masks have their final size. */
  override async infer(images: readonly InputImage[], options: InferenceOptions = {}): Promise<Inference> {
    const { features, proposals, imageSizes, times } = await this.propose(images, options);
    const { trace } = options;
    try {
      const start = performance.now();
      const semantic = await inferSemantic(this.options.semSegHead, features, imageSizes, options);
      const { roiHeads, proposalGenerator } = this.options;
      const most = proposalGenerator.options.selection.postNmsTopK * images.length;
      if (options.warmUp) await roiHeads.warmUp(features, imageSizes, most);
      const instances = await roiHeads.infer(features, proposals, imageSizes, trace, most);
      if (trace) instances.forEach((found, i) => traceInstances(trace, `raw.${i}`, found));
      return { instances, semantic, times: { ...times, heads: performance.now() - start } };
    } finally {
      tf.dispose(features);
      if (proposals instanceof tf.Tensor) proposals.dispose();
    }
  }
}
