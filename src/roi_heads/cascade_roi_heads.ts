import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import type { Module } from '../layers/module.js';
import { ModuleList } from '../layers/module_list.js';
import { scaleGradient } from '../layers/scale_gradient.js';
import { boxLossFromConfig } from '../losses/box_regression.js';
import type { HostTrace, TrainingPass } from '../meta_arch/training_pass.js';
import { readBack } from '../ops/read_back.js';
import { Box2BoxTransform } from '../rpn/box_transform.js';
import { refineRegions } from '../rpn/decode_on_device.js';
import type { Proposals } from '../rpn/find_top_proposals.js';
import { Matcher } from '../rpn/matcher.js';
import { PROPOSAL_COLUMNS } from '../rpn/proposal_kernel.js';
import type { Trace } from '../rpn/rpn.js';
import { orderOfImage, type Permutations } from '../rpn/subsample_labels.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { BoxHead, type RegionHead } from './box_head.js';
import { allClasses, type BoxLossOptions, boxLosses, classificationMetrics, type LabelledRegions } from './box_losses.js';
import { BoxPredictor } from './box_predictor.js';
import { nextStageRegions } from './cascade_stage.js';
import type { Detections, DetectionSelection } from './fast_rcnn_inference.js';
import { KeypointBranch } from './keypoint_branch.js';
import { keypointBranchLosses } from './keypoint_branch_losses.js';
import { MaskBranch } from './mask_branch.js';
import { maskBranchLosses } from './mask_branch_losses.js';
import { MaskHead } from './mask_head.js';
import { type ChooseDetections, RoiHeads, type RoiLosses, type RoiProposals } from './roi_heads.js';
import { paddedCount } from './region_counts.js';
import { RoiPooler } from './roi_pooler.js';
import { type ProposalSampling, type SampledProposals, sampleProposals } from './sample_proposals.js';
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
  readonly training: CascadeTrainingOptions;
}

/** How a cascade learns. */
export interface CascadeTrainingOptions {
  /** The draw for the first stage. */
  readonly sampling: Omit<ProposalSampling, 'matcher'>;
  /** A matcher a stage. */
  readonly matchers: readonly Matcher[];
  readonly loss: BoxLossOptions;
}

/**
 * Box heads one after another, each on the boxes that the one before has moved (Cai and Vasconcelos 2018; Detectron2's `CascadeROIHeads`): the boxes are
 * the last one's, the scores the mean of all.
 */
export class CascadeRoiHeads extends RoiHeads {
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

  /**
   * Draws the regions that the first stage and the mask branch learn from; later stages take what the one before made of them.
   * @param proposals per image, detached
   */
  override sample(proposals: readonly Proposals[], samples: readonly TrainingSample[], order: Permutations): SampledProposals[] {
    const { sampling, matchers } = this.options.training;
    const first = { ...sampling, matcher: matchers[0] };
    return proposals.map(({ boxes }, i) => sampleProposals(boxes, samples[i].groundTruth, first, orderOfImage(order, i)));
  }

  /** Every stage has losses of its own, `loss_cls_stage0` and so on. Between two stages the deltas come back: matching is on the host. */
  override async learn(
    features: FeatureMaps,
    sampled: readonly SampledProposals[],
    samples: readonly TrainingSample[],
    pass: TrainingPass,
  ): Promise<RoiLosses> {
    const { stages, training, mask, keypoint } = this.options;
    const losses: RoiLosses['losses'] = {};
    const counts: Record<string, number> = {};
    const metrics: Record<string, number> = {};
    const pending: RoiLosses['pending'][number][] = [];
    let regions: readonly LabelledRegions[] = sampled;
    let deltas: tf.Tensor2D | undefined;
    try {
      for (let stage = 0; stage < stages.length; stage++) {
        if (deltas) {
          regions = await this.nextRegions(regions, deltas, stage, samples);
          if (pass.trace) traceStage(pass.trace, stage, regions);
        }
        const learnt = pass.record(() => this.learnStage(features, regions, stage));
        deltas?.dispose();
        deltas = learnt.deltas;
        losses[`loss_cls_stage${stage}`] = learnt.loss_cls;
        losses[`loss_box_reg_stage${stage}`] = learnt.loss_box_reg;
        const classes = allClasses(regions);
        counts[`loss_cls_stage${stage}`] = counts[`loss_box_reg_stage${stage}`] = classes.length;
        const foreground = classes.filter((label) => label !== training.sampling.numClasses).length;
        metrics[`stage${stage}/roi_head/num_fg_samples`] = foreground / regions.length;
        metrics[`stage${stage}/roi_head/num_bg_samples`] = (classes.length - foreground) / regions.length;
        if (learnt.logits)
          pending.push({
            values: learnt.logits,
            toMetrics: (values) => prefixed(`stage${stage}/`, classificationMetrics(values, classes)),
          });
      }
      if (mask) {
        const masks = pass.record(() => maskBranchLosses(mask, features, sampled, samples));
        Object.assign(losses, masks.losses);
        counts.loss_mask = sampled.reduce((sum, { foregroundCount }) => sum + foregroundCount, 0);
        pending.push(...masks.pending);
      }
      if (keypoint) {
        const points = pass.record(() => keypointBranchLosses(keypoint, features, sampled, samples));
        Object.assign(losses, points.losses);
        Object.assign(counts, points.counts);
        Object.assign(metrics, points.metrics);
      }
      return { losses, counts, metrics, pending };
    } catch (error) {
      tf.dispose([losses, pending.map(({ values }) => values)]);
      throw error;
    } finally {
      deltas?.dispose();
    }
  }

  /** One stage's losses and predictions; the gradient into the shared features is divided among the stages. */
  private learnStage(
    features: FeatureMaps,
    regions: readonly LabelledRegions[],
    stage: number,
  ): { loss_cls: tf.Scalar; loss_box_reg: tf.Scalar; logits?: tf.Tensor2D; deltas: tf.Tensor2D } {
    const { boxPooler, stages, training } = this.options;
    const boxes = regions.map((image) => image.boxes);
    if (boxes.every(({ length }) => length === 0))
      return { loss_cls: tf.scalar(0), loss_box_reg: tf.scalar(0), deltas: tf.zeros([0, 4]) };
    const { head, predictor } = stages[stage];
    return tf.tidy(() => {
      const pooled = scaleGradient(boxPooler.forward(features, boxes), 1 / stages.length);
      const predicted = predictor.forward(head.forward(pooled));
      return { ...boxLosses(predicted, regions, predictor.transform, training.loss), ...predicted };
    });
  }

  private async nextRegions(
    regions: readonly LabelledRegions[],
    deltas: tf.Tensor2D,
    stage: number,
    samples: readonly TrainingSample[],
  ): Promise<LabelledRegions[]> {
    const { stages, training } = this.options;
    const { transform } = stages[stage - 1].predictor;
    const values = deltas.size === 0 ? new Float32Array(0) : await readBack(deltas);
    let at = 0;
    return regions.map(({ boxes }, i) => {
      const { groundTruth, height, width } = samples[i];
      const own = values.subarray(at, (at += boxes.length));
      const { matchers, sampling } = training;
      return nextStageRegions(boxes, own, transform, [height, width], groundTruth, matchers[stage], sampling.numClasses);
    });
  }

  protected override inferBoxes(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
    mostProposals = 0,
    choose?: ChooseDetections,
  ): Promise<Detections[]> {
    const { boxPooler, stages } = this.options;
    const predict = () => {
      let regions = proposals instanceof tf.Tensor ? proposals : regionRows(proposals, trace ? 0 : mostProposals);
      let deltas: tf.Tensor2D | undefined;
      const scores = stages.map(({ head, predictor }, stage) => {
        if (deltas) regions = refineRegions(deltas, regions, stages[stage - 1].predictor.transform, imageSizes);
        const pooled = boxPooler.forward(features, regions);
        trace?.(stage === 0 ? 'box_pooled' : `box_pooled#${stage + 1}`, pooled);
        const hidden = head.forward(pooled);
        trace?.(`box_head.${stage}`, hidden);
        const predicted = predictor.forward(hidden);
        trace?.(`cls_logits.${stage}`, predicted.logits);
        trace?.(`box_deltas.${stage}`, predicted.deltas);
        deltas = predicted.deltas;
        return tf.softmax(predicted.logits);
      });
      const mean = tf.div<tf.Tensor2D>(tf.addN(scores), stages.length);
      return { scores: mean, deltas: deltas as tf.Tensor2D, regions };
    };
    return this.detect(proposals, imageSizes, stages[stages.length - 1].predictor.transform, predict, choose);
  }
}

/** Proposals of all images as rows (image, x0, y0, x1, y1, logit), filled up as `padRegions` does with rows that are none. */
function regionRows(proposals: readonly Proposals[], most: number): tf.Tensor2D {
  const rows = proposals.flatMap(({ boxes, objectnessLogits }, image) =>
    Array.from(objectnessLogits, (logit, i) => [image, ...boxes.subarray(i * 4, i * 4 + 4), logit]),
  );
  const fill = [proposals.length - 1, 0, 0, 0, 0, -Infinity];
  const padded = paddedCount(rows.length, most);
  while (rows.length < padded) rows.push(fill);
  return tf.tensor2d(rows, [rows.length, PROPOSAL_COLUMNS], 'float32');
}

function traceStage(trace: HostTrace, stage: number, regions: readonly LabelledRegions[]): void {
  regions.forEach(({ boxes, classes }, i) => {
    trace(`stage${stage}.${i}.proposal_boxes`, boxes, [classes.length, 4]);
    trace(`stage${stage}.${i}.gt_classes`, classes, [classes.length]);
  });
}

function prefixed(prefix: string, values: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value]));
}
