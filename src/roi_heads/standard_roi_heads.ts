import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import type { Module } from '../layers/module.js';
import { boxLossFromConfig } from '../losses/box_regression.js';
import type { Proposals } from '../rpn/find_top_proposals.js';
import { Matcher } from '../rpn/matcher.js';
import type { Trace } from '../rpn/rpn.js';
import { orderOfImage, type Permutations } from '../rpn/subsample_labels.js';
import type { TrainingPass } from '../meta_arch/training_pass.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { BoxHead, type RegionHead } from './box_head.js';
import { allClasses, type BoxLossOptions, boxLosses, classificationMetrics } from './box_losses.js';
import { BoxPredictor } from './box_predictor.js';
import type { Detections, DetectionSelection } from './fast_rcnn_inference.js';
import { KeypointBranch } from './keypoint_branch.js';
import { keypointBranchLosses } from './keypoint_branch_losses.js';
import { MaskBranch } from './mask_branch.js';
import { MaskHead } from './mask_head.js';
import { maskBranchLosses } from './mask_branch_losses.js';
import { type BoxPredictions, type ChooseDetections, RoiHeads, type RoiLosses, type RoiProposals } from './roi_heads.js';
import { Res5BoxHead } from './res5_box_head.js';
import { padRegions } from './region_counts.js';
import { RoiPooler } from './roi_pooler.js';
import { type ProposalSampling, type SampledProposals, sampleProposals } from './sample_proposals.js';
import { softNmsFromConfig } from './suppress_detections.js';

export interface StandardRoiHeadsOptions {
  readonly boxPooler: RoiPooler;
  readonly boxHead: (Module & RegionHead) | Res5BoxHead;
  readonly boxPredictor: BoxPredictor;
  readonly mask: MaskBranch | undefined;
  readonly keypoint: KeypointBranch | undefined;
  readonly selection: DetectionSelection;
  readonly training: RoiTrainingOptions;
}

/** How the heads learn. */
export interface RoiTrainingOptions {
  readonly sampling: ProposalSampling;
  readonly loss: BoxLossOptions;
}

/**
 * Box, mask and keypoint branches on pooled regions (He et al. 2017, section 3): on a pyramid (Detectron2's `StandardROIHeads`), or on res4 with res5 as the
 * head of both (`Res5ROIHeads`).
 */
export class StandardRoiHeads extends RoiHeads {
  constructor(readonly options: StandardRoiHeadsOptions) {
    super();
    if (options.boxHead instanceof Res5BoxHead) this.child('res5', options.boxHead.stage);
    else this.child('box_head', options.boxHead);
    this.child('box_predictor', options.boxPredictor);
    if (options.mask) this.child('mask_head', options.mask.head);
    if (options.keypoint) this.child('keypoint_head', options.keypoint.head);
  }

  static fromConfig(cfg: Config, features: FeatureShapes): StandardRoiHeads {
    return new StandardRoiHeads(StandardRoiHeads.optionsFromConfig(cfg, features));
  }

  /** @param Pooler cuts the regions out */
  protected static optionsFromConfig(
    cfg: Config,
    features: FeatureShapes,
    Pooler: Pick<typeof RoiPooler, 'fromConfig'> = RoiPooler,
  ): StandardRoiHeadsOptions {
    const { ROI_HEADS: heads, ROI_BOX_HEAD: box, ROI_MASK_HEAD: mask } = cfg.MODEL;
    for (const name of heads.IN_FEATURES) {
      if (!features[name])
        throw new ConfigError(
          `MODEL.ROI_HEADS.IN_FEATURES names ${name}; the backbone gives ${Object.keys(features).join(', ')}.`,
        );
    }
    const channels = features[heads.IN_FEATURES[0]].channels;
    const isRes5 = heads.NAME === 'Res5ROIHeads';
    const boxHead = isRes5 ? Res5BoxHead.fromConfig(cfg, channels) : BoxHead.fromConfig(cfg, channels);
    const boxPooler = Pooler.fromConfig(box, heads.IN_FEATURES, features);
    const maskBranch = (): MaskBranch =>
      boxHead instanceof Res5BoxHead
        ? new MaskBranch({ pooler: boxPooler, head: MaskHead.fromConfig(cfg, boxHead.outputSize), shared: boxHead.stage })
        : new MaskBranch({
            pooler: Pooler.fromConfig(mask, heads.IN_FEATURES, features),
            head: MaskHead.fromConfig(cfg, channels),
          });
    return {
      boxPooler,
      boxHead,
      boxPredictor: BoxPredictor.fromConfig(cfg, boxHead.outputSize),
      mask: cfg.MODEL.MASK_ON ? maskBranch() : undefined,
      keypoint: KeypointBranch.fromConfig(cfg, features),
      selection: {
        scoreThreshold: heads.SCORE_THRESH_TEST,
        nmsThreshold: heads.NMS_THRESH_TEST,
        topK: cfg.TEST.DETECTIONS_PER_IMAGE,
        softNms: softNmsFromConfig(cfg),
        // torchvision keeps sides from 1e-2 on; this lies between the float32 of that name and the one before it.
        ...(cfg.MODEL.CONVENTIONS === 'torchvision' ? { minBoxSize: 9.999999e-3 } : {}),
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
    };
  }

  override get isDivisible(): boolean {
    return true;
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

  /**
   * Draws the regions that the heads learn from.
   * @param proposals per image, detached
   */
  override sample(proposals: readonly Proposals[], samples: readonly TrainingSample[], order: Permutations): SampledProposals[] {
    const { sampling } = this.options.training;
    return proposals.map(({ boxes }, i) => sampleProposals(boxes, samples[i].groundTruth, sampling, orderOfImage(order, i)));
  }

  /**
   * The losses on sampled regions, a differentiable function of the features. The mask branch sees the foreground only, the keypoint branch what of it
   * shows a keypoint.
   * @param features maps by name, each [N, H, W, C]
   */
  computeLosses(features: FeatureMaps, sampled: readonly SampledProposals[], samples: readonly TrainingSample[]): RoiLosses {
    const { boxPooler, boxHead, boxPredictor, mask, keypoint, training } = this.options;
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
    const counts: Record<string, number> = { loss_cls: classes.length, loss_box_reg: classes.length, loss_mask: foreground };
    if (mask) {
      const masks = maskBranchLosses(mask, features, sampled, samples);
      Object.assign(losses, masks.losses);
      pending.push(...masks.pending);
    }
    if (keypoint) {
      const points = keypointBranchLosses(keypoint, features, sampled, samples);
      Object.assign(losses, points.losses);
      Object.assign(counts, points.counts);
      Object.assign(metrics, points.metrics);
    }
    return { losses, counts, metrics, pending };
  }

  override learn(
    features: FeatureMaps,
    sampled: readonly SampledProposals[],
    samples: readonly TrainingSample[],
    pass: TrainingPass,
  ): Promise<RoiLosses> {
    return Promise.resolve(pass.record(() => this.computeLosses(features, sampled, samples)));
  }

  protected override inferBoxes(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
    mostProposals = 0,
    choose?: ChooseDetections,
  ): Promise<Detections[]> {
    const { boxPooler, boxHead, boxPredictor } = this.options;
    const predict = (): BoxPredictions => {
      const pooled = boxPooler.forward(
        features,
        proposals instanceof tf.Tensor
          ? proposals
          : padRegions(
              proposals.map(({ boxes }) => boxes),
              trace ? 0 : mostProposals,
            ),
      );
      trace?.('box_pooled', pooled);
      const hidden = boxHead.forward(pooled, trace);
      trace?.('box_head', hidden);
      const { logits, deltas } = boxPredictor.forward(hidden);
      trace?.('cls_logits', logits);
      trace?.('box_deltas', deltas);
      return { scores: tf.softmax(logits), deltas };
    };
    return this.detect(proposals, imageSizes, boxPredictor.transform, predict, choose);
  }
}
