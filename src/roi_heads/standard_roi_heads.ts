import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Module } from '../layers/module.js';
import { readBack } from '../ops/read_back.js';
import type { Proposals } from '../rpn/find_top_proposals.js';
import { PROPOSAL_COLUMNS, type ProposalRows, splitProposals } from '../rpn/proposal_kernel.js';
import type { Trace } from '../rpn/rpn.js';
import { BoxHead } from './box_head.js';
import { BoxPredictor } from './box_predictor.js';
import { type Detections, type DetectionSelection, fastRcnnInference } from './fast_rcnn_inference.js';
import { MaskHead } from './mask_head.js';
import { RoiPooler } from './roi_pooler.js';

export interface StandardRoiHeadsOptions {
  readonly boxPooler: RoiPooler;
  readonly boxHead: BoxHead;
  readonly boxPredictor: BoxPredictor;
  readonly mask: { readonly pooler: RoiPooler; readonly head: MaskHead } | undefined;
  readonly selection: DetectionSelection;
}

/** Detections of one image in the input frame, with mask probabilities [D, M, M] where the model has masks. */
export interface RawInstances extends Detections {
  readonly masks: { readonly size: number; readonly probabilities: Float32Array } | undefined;
}

/** Box and mask branches on pooled regions (He et al. 2017, section 3; Detectron2's `StandardROIHeads`). */
export class StandardRoiHeads extends Module {
  constructor(readonly options: StandardRoiHeadsOptions) {
    super();
    this.child('box_head', options.boxHead);
    this.child('box_predictor', options.boxPredictor);
    if (options.mask) this.child('mask_head', options.mask.head);
  }

  static fromConfig(cfg: Config, features: FeatureShapes): StandardRoiHeads {
    const { ROI_HEADS: heads, ROI_BOX_HEAD: box, ROI_MASK_HEAD: mask } = cfg.MODEL;
    if (heads.NAME !== 'StandardROIHeads')
      throw new ConfigError(`MODEL.ROI_HEADS.NAME is ${heads.NAME}; expected StandardROIHeads.`);
    if (cfg.MODEL.KEYPOINT_ON) throw new ConfigError('MODEL.KEYPOINT_ON is true; keypoint heads are not supported.');
    for (const name of heads.IN_FEATURES) {
      if (!features[name])
        throw new ConfigError(
          `MODEL.ROI_HEADS.IN_FEATURES names ${name}; the backbone gives ${Object.keys(features).join(', ')}.`,
        );
    }
    const channels = features[heads.IN_FEATURES[0]].channels;
    const boxHead = BoxHead.fromConfig(cfg, channels);
    return new StandardRoiHeads({
      boxPooler: RoiPooler.fromConfig(box, heads.IN_FEATURES, features),
      boxHead,
      boxPredictor: BoxPredictor.fromConfig(cfg, boxHead.outputSize),
      mask: cfg.MODEL.MASK_ON
        ? { pooler: RoiPooler.fromConfig(mask, heads.IN_FEATURES, features), head: MaskHead.fromConfig(cfg, channels) }
        : undefined,
      selection: {
        scoreThreshold: heads.SCORE_THRESH_TEST,
        nmsThreshold: heads.NMS_THRESH_TEST,
        topK: cfg.TEST.DETECTIONS_PER_IMAGE,
      },
    });
  }

  /** The heads are driven by `infer`, not by `apply`: what they compute depends on values that come back from the device. */
  override call(): tf.Tensor {
    throw new Error('StandardRoiHeads is not called with tensors alone; use infer().');
  }

  /**
   * @param features   maps by name, each [N, H, W, C]
   * @param proposals  per image, in input pixels; or [R, 6] as `Rpn.proposeOnDevice` gives them, read together with the box head's outputs
   * @param imageSizes (height, width) of each image inside the padded input
   */
  async infer(
    features: FeatureMaps,
    proposals: readonly Proposals[] | tf.Tensor2D,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
  ): Promise<RawInstances[]> {
    const detections = await this.inferBoxes(features, proposals, imageSizes, trace);
    return this.inferMasks(features, detections, trace);
  }

  private async inferBoxes(
    features: FeatureMaps,
    proposals: readonly Proposals[] | tf.Tensor2D,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
  ): Promise<Detections[]> {
    const { boxPooler, boxHead, boxPredictor, selection } = this.options;
    const onDevice = proposals instanceof tf.Tensor;
    const rows = onDevice ? proposals.shape[0] : proposals.reduce((sum, { boxes }) => sum + boxes.length / 4, 0);
    if (rows === 0)
      return imageSizes.map((size) => fastRcnnInference(new Float32Array(0), new Float32Array(0), 0, size, selection));
    const flat = tf.tidy(() => {
      const pooled = boxPooler.forward(features, onDevice ? proposals : proposals.map(({ boxes }) => boxes));
      trace?.('box_pooled', pooled);
      const hidden = boxHead.forward(pooled);
      trace?.('box_head', hidden);
      const { logits, deltas } = boxPredictor.forward(hidden);
      trace?.('cls_logits', logits);
      trace?.('box_deltas', deltas);
      const outputs = [tf.softmax(logits), deltas, ...(onDevice ? [proposals] : [])];
      return tf.concat(outputs.map((output) => tf.reshape(output, [-1])));
    });
    const values = await readBack(flat);
    flat.dispose();
    const columns = this.options.boxPredictor.options.numClasses + 1;
    const scores = values.subarray(0, rows * columns);
    const end = values.length - (onDevice ? rows * PROPOSAL_COLUMNS : 0);
    const deltas = values.subarray(rows * columns, end);
    const boxColumns = deltas.length / rows;
    const chosen = onDevice ? splitProposals(values.subarray(end), imageSizes.length) : withFirstRows(proposals);
    return chosen.map(({ boxes, first }, image) => {
      const count = boxes.length / 4;
      const decoded = boxPredictor.transform.applyDeltas(
        deltas.subarray(first * boxColumns, (first + count) * boxColumns),
        boxes,
      );
      return fastRcnnInference(
        decoded,
        scores.subarray(first * columns, (first + count) * columns),
        count,
        imageSizes[image],
        selection,
      );
    });
  }

  private async inferMasks(features: FeatureMaps, detections: readonly Detections[], trace?: Trace): Promise<RawInstances[]> {
    const { mask } = this.options;
    if (!mask) return detections.map((found) => ({ ...found, masks: undefined }));
    const counts = detections.map(({ scores }) => scores.length);
    const rows = counts.reduce((a, b) => a + b, 0);
    const size = 2 * mask.pooler.options.outputSize;
    if (rows === 0) return detections.map((found) => ({ ...found, masks: { size, probabilities: new Float32Array(0) } }));
    const classes = new Int32Array(rows);
    let row = 0;
    for (const found of detections) {
      classes.set(found.classes, row);
      row += found.classes.length;
    }
    const probabilities = tf.tidy(() => {
      const pooled = mask.pooler.forward(
        features,
        detections.map(({ boxes }) => boxes),
      );
      trace?.('mask_pooled', pooled);
      const logits = mask.head.forward(pooled);
      trace?.('mask_logits', logits);
      return MaskHead.probabilities(logits, classes);
    });
    const values = await readBack(probabilities);
    probabilities.dispose();
    let first = 0;
    return detections.map((found, image) => {
      const last = first + counts[image];
      const own = values.slice(first * size * size, last * size * size);
      first = last;
      return { ...found, masks: { size, probabilities: own } };
    });
  }
}

/** Where each image's rows begin when they lie one after another. */
function withFirstRows(proposals: readonly Proposals[]): ProposalRows[] {
  let first = 0;
  return proposals.map((image) => {
    const rows = { ...image, first };
    first += image.boxes.length / 4;
    return rows;
  });
}
