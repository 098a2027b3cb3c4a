import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Module } from '../layers/module.js';
import { boxLossFromConfig } from '../losses/box_regression.js';
import { readBack } from '../ops/read_back.js';
import type { Proposals } from '../rpn/find_top_proposals.js';
import { Matcher } from '../rpn/matcher.js';
import { PROPOSAL_COLUMNS, type ProposalRows, splitProposals } from '../rpn/proposal_kernel.js';
import type { Trace } from '../rpn/rpn.js';
import type { Permutations } from '../rpn/subsample_labels.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { BoxHead } from './box_head.js';
import { allClasses, type BoxLossOptions, boxLosses, classificationMetrics } from './box_losses.js';
import { BoxPredictor } from './box_predictor.js';
import { type Detections, type DetectionSelection, fastRcnnInference } from './fast_rcnn_inference.js';
import { MaskHead } from './mask_head.js';
import { maskBatch, maskLoss, maskMetrics } from './mask_loss.js';
import { RoiPooler } from './roi_pooler.js';
import { type ProposalSampling, type SampledProposals, sampleProposals } from './sample_proposals.js';

export interface StandardRoiHeadsOptions {
  readonly boxPooler: RoiPooler;
  readonly boxHead: BoxHead;
  readonly boxPredictor: BoxPredictor;
  readonly mask: { readonly pooler: RoiPooler; readonly head: MaskHead } | undefined;
  readonly selection: DetectionSelection;
  readonly training: RoiTrainingOptions;
}

/** How the heads learn. */
export interface RoiTrainingOptions {
  readonly sampling: ProposalSampling;
  readonly loss: BoxLossOptions;
}

/** Detections of one image in the input frame, with mask probabilities [D, M, M] where the model has masks. */
export interface RawInstances extends Detections {
  readonly masks: { readonly size: number; readonly probabilities: Float32Array } | undefined;
}

/** Weighted losses of one batch by Detectron2's names, and what is measured on the way. */
export interface RoiLosses {
  readonly losses: { loss_cls: tf.Scalar; loss_box_reg: tf.Scalar; loss_mask?: tf.Scalar };
  readonly metrics: Record<string, number>;
  /** Values that become metrics once they are read back. */
  readonly pending: readonly { readonly values: tf.Tensor; toMetrics(values: Float32Array): Record<string, number> }[];
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
      training: {
        sampling: {
          matcher: new Matcher({
            thresholds: heads.IOU_THRESHOLDS,
            labels: heads.IOU_LABELS,
            allowLowQualityMatches: false,
          }),
          batchSizePerImage: heads.BATCH_SIZE_PER_IMAGE,
          positiveFraction: heads.POSITIVE_FRACTION,
          appendGroundTruth: heads.PROPOSAL_APPEND_GT,
          numClasses: heads.NUM_CLASSES,
        },
        loss: { boxLoss: boxLossFromConfig(box), boxWeight: box.BBOX_REG_LOSS_WEIGHT },
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

  /**
   * Draws the regions that the heads learn from.
   * @param proposals per image, detached
   */
  sample(proposals: readonly Proposals[], samples: readonly TrainingSample[], order: Permutations): SampledProposals[] {
    const { sampling } = this.options.training;
    return proposals.map(({ boxes }, i) => sampleProposals(boxes, samples[i].groundTruth, sampling, order));
  }

  /**
   * The losses on sampled regions, a differentiable function of the features. The mask branch sees the foreground only.
   * @param features maps by name, each [N, H, W, C]
   */
  computeLosses(features: FeatureMaps, sampled: readonly SampledProposals[], samples: readonly TrainingSample[]): RoiLosses {
    const { boxPooler, boxHead, boxPredictor, mask, training } = this.options;
    const classes = allClasses(sampled);
    const count = sampled.length;
    const foreground = sampled.reduce((sum, { foregroundCount }) => sum + foregroundCount, 0);
    const metrics = {
      'roi_head/num_fg_samples': foreground / count,
      'roi_head/num_bg_samples': (classes.length - foreground) / count,
    };
    const pending: RoiLosses['pending'][number][] = [];
    const losses: RoiLosses['losses'] = { loss_cls: tf.scalar(0), loss_box_reg: tf.scalar(0) };
    if (classes.length > 0) {
      const { logits, ...box } = tf.tidy(() => {
        const pooled = boxPooler.forward(
          features,
          sampled.map(({ boxes }) => boxes),
        );
        const predicted = boxPredictor.forward(boxHead.forward(pooled));
        return { ...boxLosses(predicted, sampled, boxPredictor.transform, training.loss), logits: predicted.logits };
      });
      tf.dispose(losses);
      Object.assign(losses, box);
      pending.push({ values: logits, toMetrics: (values) => classificationMetrics(values, classes) });
    }
    if (!mask) return { losses, metrics, pending };
    if (foreground === 0) return { losses: { ...losses, loss_mask: tf.scalar(0) }, metrics, pending };
    const batch = maskBatch(sampled, samples, 2 * mask.pooler.options.outputSize);
    const { loss_mask, counts } = tf.tidy(() => maskLoss(mask.head.forward(mask.pooler.forward(features, batch.boxes)), batch));
    pending.push({ values: counts, toMetrics: (values) => maskMetrics(values, batch.targets.length) });
    return { losses: { ...losses, loss_mask }, metrics, pending };
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
