import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/resnet.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Fpn } from '../fpn/fpn.js';
import { Module } from '../layers/module.js';
import { type RawInstances, StandardRoiHeads } from '../roi_heads/standard_roi_heads.js';
import { Rpn, type Trace } from '../rpn/rpn.js';
import { type ImageList, type InputImage, makeImageList } from '../structures/image_list.js';

export interface GeneralizedRcnnOptions {
  readonly backbone: Fpn;
  readonly proposalGenerator: Rpn;
  readonly roiHeads: StandardRoiHeads;
  /** Per channel, in the order of the input's channels. */
  readonly pixelMean: readonly number[];
  readonly pixelStd: readonly number[];
}

/** Milliseconds per stage of one inference. */
export interface StageTimes {
  readonly preprocess: number;
  /** Backbone, pyramid, RPN head and the choice of proposals. */
  readonly proposals: number;
  /** Box and mask heads and the choice of detections. */
  readonly heads: number;
}

/** What one inference gave: instances per image in the input frame, and how long each stage took. */
export interface Inference {
  readonly instances: RawInstances[];
  readonly times: StageTimes;
}

/** Backbone, region proposals, heads (Ren et al. 2015; He et al. 2017; Detectron2's `GeneralizedRCNN`). */
export class GeneralizedRcnn extends Module {
  constructor(readonly options: GeneralizedRcnnOptions) {
    super();
    this.child('backbone', options.backbone);
    this.child('proposal_generator', options.proposalGenerator);
    this.child('roi_heads', options.roiHeads);
  }

  static fromConfig(cfg: Config): GeneralizedRcnn {
    if (cfg.MODEL.META_ARCHITECTURE !== 'GeneralizedRCNN') {
      throw new ConfigError(`MODEL.META_ARCHITECTURE is ${cfg.MODEL.META_ARCHITECTURE}; expected GeneralizedRCNN.`);
    }
    const backbone = Fpn.fromConfig(cfg);
    return new GeneralizedRcnn({
      backbone,
      proposalGenerator: Rpn.fromConfig(cfg, backbone.outShapes),
      roiHeads: StandardRoiHeads.fromConfig(cfg, backbone.outShapes),
      pixelMean: cfg.MODEL.PIXEL_MEAN,
      pixelStd: cfg.MODEL.PIXEL_STD,
    });
  }

  /** The detector is driven by `infer`, not by `apply`: what it computes depends on values that come back from the device. */
  override call(): tf.Tensor {
    throw new Error('GeneralizedRcnn is not called with tensors alone; use infer().');
  }

  /** Normalises and pads a batch to the pyramid's stride. */
  preprocess(images: readonly InputImage[]): ImageList {
    const { backbone, pixelMean, pixelStd } = this.options;
    return makeImageList(images, pixelMean, pixelStd, backbone.sizeDivisibility);
  }

  /**
   * Detects objects in resized pictures of any sizes, together.
   * @param options.trace  sees every intermediate tensor by name
   * @param options.signal stops between stages
   */
  async infer(images: readonly InputImage[], options: { trace?: Trace; signal?: AbortSignal } = {}): Promise<Inference> {
    const { trace, signal } = options;
    const start = performance.now();
    const list = this.preprocess(images);
    const prepared = performance.now();
    const { features, rpn } = tf.tidy(() => {
      const input = tf.tensor4d(list.values, list.shape);
      trace?.('images', input);
      const maps: FeatureMaps = this.options.backbone.forward(input, trace);
      return { features: maps, rpn: this.options.proposalGenerator.forward(maps) };
    });
    try {
      if (trace) this.traceProposalNetwork(features, rpn, trace);
      const proposals = await this.options.proposalGenerator.propose(rpn, list.imageSizes);
      tf.dispose(rpn);
      if (trace) {
        proposals.forEach(({ boxes, objectnessLogits }, i) => {
          traceArray(trace, `proposals.${i}.boxes`, boxes, [boxes.length / 4, 4]);
          traceArray(trace, `proposals.${i}.objectness_logits`, objectnessLogits, [objectnessLogits.length]);
        });
      }
      signal?.throwIfAborted();
      const proposed = performance.now();
      const instances = await this.options.roiHeads.infer(features, proposals, list.imageSizes, trace);
      if (trace) instances.forEach((found, i) => traceInstances(trace, `raw.${i}`, found));
      const end = performance.now();
      return { instances, times: { preprocess: prepared - start, proposals: proposed - prepared, heads: end - proposed } };
    } finally {
      tf.dispose([features, rpn]);
    }
  }

  private traceProposalNetwork(
    features: FeatureMaps,
    { logits, deltas }: { logits: tf.Tensor4D[]; deltas: tf.Tensor4D[] },
    trace: Trace,
  ): void {
    for (const [name, map] of Object.entries(features)) trace(`features.${name}`, map);
    logits.forEach((map, level) => {
      trace(`rpn.logits.${level}`, map);
      trace(`rpn.deltas.${level}`, deltas[level]);
      const anchors = this.options.proposalGenerator.options.anchorGenerator.level(level, map.shape[1], map.shape[2]);
      traceArray(trace, `anchors.${level}`, anchors, [anchors.length / 4, 4]);
    });
  }
}

function traceArray(trace: Trace, name: string, values: Float32Array | Int32Array, shape: number[]): void {
  const tensor = tf.tensor(values, shape, values instanceof Int32Array ? 'int32' : 'float32');
  trace(name, tensor);
  tensor.dispose();
}

function traceInstances(trace: Trace, prefix: string, { boxes, scores, classes, masks }: RawInstances): void {
  traceArray(trace, `${prefix}.pred_boxes`, boxes, [scores.length, 4]);
  traceArray(trace, `${prefix}.scores`, scores, [scores.length]);
  traceArray(trace, `${prefix}.pred_classes`, classes, [scores.length]);
  if (masks) traceArray(trace, `${prefix}.pred_masks`, masks.probabilities, [scores.length, 1, masks.size, masks.size]);
}
