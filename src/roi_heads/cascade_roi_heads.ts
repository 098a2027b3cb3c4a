import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import type { Module } from '../layers/module.js';
import { ModuleList } from '../layers/module_list.js';
import { scaleGradient } from '../layers/scale_gradient.js';
import { boxLossFromConfig } from '../losses/box_regression.js';
import { Box2BoxTransform } from '../rpn/box_transform.js';
import { Matcher } from '../rpn/matcher.js';
import type { Trace } from '../rpn/rpn.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { BoxHead, type RegionHead } from './box_head.js';
import { allClasses, boxLosses, classificationMetrics, type LabelledRegions } from './box_losses.js';
import { BoxPredictor } from './box_predictor.js';
import type { DetectionSelection } from './fast_rcnn_inference.js';
import { KeypointBranch } from './keypoint_branch.js';
import { keypointBranchLosses } from './keypoint_branch_losses.js';
import { MaskBranch } from './mask_branch.js';
import { maskBranchLosses } from './mask_branch_losses.js';
import { MaskHead } from './mask_head.js';
import { type LearntStage, MultiStageRoiHeads, type MultiStageTraining } from './multi_stage_roi_heads.js';
import { RoiPooler } from './roi_pooler.js';
import type { SampledProposals } from './sample_proposals.js';
import { softNmsFromConfig } from './suppress_detections.js';

/** One stage of a cascade. */
export interface CascadeStage {
  readonly head: Module & RegionHead;
  readonly predictor: BoxPredictor;
}

export interface CascadeRoiHeadsOptions {
  readonly boxPooler: RoiPooler;
  readonly stages: readonly CascadeStage[];
  readonly mask: MaskBranch | undefined;
  readonly keypoint: KeypointBranch | undefined;
  readonly selection: DetectionSelection;
  readonly training: MultiStageTraining;
}

/**
 * Box heads one after another, each on the boxes that the one before has moved (Cai and Vasconcelos 2018; Detectron2's `CascadeROIHeads`): the boxes are
 * the last one's, the scores the mean of all.
 */
export class CascadeRoiHeads extends MultiStageRoiHeads {
  constructor(readonly options: CascadeRoiHeadsOptions) {
    super();
    this.child('box_head', new ModuleList(options.stages.map(({ head }) => head)));
    this.child('box_predictor', new ModuleList(options.stages.map(({ predictor }) => predictor)));
    if (options.mask) this.child('mask_head', options.mask.head);
    if (options.keypoint) this.child('keypoint_head', options.keypoint.head);
  }

  static fromConfig(cfg: Config, features: FeatureShapes): CascadeRoiHeads {
    const { ROI_HEADS: heads, ROI_BOX_HEAD: box, ROI_MASK_HEAD: mask, ROI_BOX_CASCADE_HEAD: cascade } = cfg.MODEL;
    if (!box.CLS_AGNOSTIC_BBOX_REG)
      throw new ConfigError('MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG is false; a cascade needs true.');
    if (cascade.IOUS.length !== cascade.BBOX_REG_WEIGHTS.length)
      throw new ConfigError(
        `MODEL.ROI_BOX_CASCADE_HEAD has ${cascade.IOUS.length} IOUS and ${cascade.BBOX_REG_WEIGHTS.length} BBOX_REG_WEIGHTS; expected as many of both.`,
      );
    const channels = features[heads.IN_FEATURES[0]].channels;
    return new CascadeRoiHeads({
      boxPooler: RoiPooler.fromConfig(box, heads.IN_FEATURES, features),
      stages: cascade.BBOX_REG_WEIGHTS.map((weights) => {
        const head = BoxHead.fromConfig(cfg, channels);
        const options = { inFeatures: head.outputSize, numClasses: heads.NUM_CLASSES, classAgnostic: true };
        return { head, predictor: new BoxPredictor({ ...options, transform: new Box2BoxTransform(weights) }) };
      }),
      mask: cfg.MODEL.MASK_ON
        ? new MaskBranch({
            pooler: RoiPooler.fromConfig(mask, heads.IN_FEATURES, features),
            head: MaskHead.fromConfig(cfg, channels),
          })
        : undefined,
      keypoint: KeypointBranch.fromConfig(cfg, features),
      selection: {
        scoreThreshold: heads.SCORE_THRESH_TEST,
        nmsThreshold: heads.NMS_THRESH_TEST,
        topK: cfg.TEST.DETECTIONS_PER_IMAGE,
        softNms: softNmsFromConfig(cfg),
      },
      training: {
        sampling: {
          batchSizePerImage: heads.BATCH_SIZE_PER_IMAGE,
          positiveFraction: heads.POSITIVE_FRACTION,
          appendGroundTruth: heads.PROPOSAL_APPEND_GT,
          numClasses: heads.NUM_CLASSES,
        },
        matchers: cascade.IOUS.map((iou) => new Matcher({ thresholds: [iou], labels: [0, 1], allowLowQualityMatches: false })),
        loss: { boxLoss: boxLossFromConfig(box), boxWeight: box.BBOX_REG_LOSS_WEIGHT },
      },
    });
  }

  protected override get selection(): DetectionSelection {
    return this.options.selection;
  }

  protected override get mask(): MaskBranch | undefined {
    return this.options.mask;
  }

  protected override get keypoint(): KeypointBranch | undefined {
    return this.options.keypoint;
  }

  protected override get boxPooler(): RoiPooler {
    return this.options.boxPooler;
  }

  protected override get transforms(): readonly Box2BoxTransform[] {
    return this.options.stages.map(({ predictor }) => predictor.transform);
  }

  protected override get training(): MultiStageTraining {
    return this.options.training;
  }

  protected override predictStage(pooled: tf.Tensor4D, stage: number, trace?: Trace) {
    const { head, predictor } = this.options.stages[stage];
    const hidden = head.forward(pooled);
    trace?.(`box_head.${stage}`, hidden);
    return predictor.forward(hidden);
  }

  /** The gradient into the shared features is divided among the stages. */
  protected override learnStage(features: FeatureMaps, regions: readonly LabelledRegions[], stage: number): LearntStage {
    const { boxPooler, stages, training } = this.options;
    const classes = allClasses(regions);
    const counts = { loss_cls: classes.length, loss_box_reg: classes.length };
    if (classes.length === 0) {
      const losses = { loss_cls: tf.scalar(0), loss_box_reg: tf.scalar(0) };
      return { losses, counts, deltas: tf.zeros([0, 4]), pending: [] };
    }
    const { logits, deltas, ...losses } = tf.tidy(() => {
      const boxes = regions.map((image) => image.boxes);
      const pooled = scaleGradient(boxPooler.forward(features, boxes), 1 / stages.length);
      const predicted = this.predictStage(pooled, stage);
      return { ...boxLosses(predicted, regions, stages[stage].predictor.transform, training.loss), ...predicted };
    });
    const pending = [{ values: logits, toMetrics: (values: Float32Array) => classificationMetrics(values, classes) }];
    return { losses, counts, deltas, pending };
  }

  protected override learnBranches(
    features: FeatureMaps,
    sampled: readonly SampledProposals[],
    samples: readonly TrainingSample[],
  ) {
    const { mask, keypoint } = this.options;
    const loss_mask = sampled.reduce((sum, { foregroundCount }) => sum + foregroundCount, 0);
    return [
      ...(mask ? [() => ({ ...maskBranchLosses(mask, features, sampled, samples), counts: { loss_mask } })] : []),
      ...(keypoint ? [() => keypointBranchLosses(keypoint, features, sampled, samples)] : []),
    ];
  }
}
