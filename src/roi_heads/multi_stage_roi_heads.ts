import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import type { HostTrace, TrainingPass } from '../meta_arch/training_pass.js';
import { readBack } from '../ops/read_back.js';
import type { Box2BoxTransform } from '../rpn/box_transform.js';
import { refineRegions } from '../rpn/decode_on_device.js';
import type { Proposals } from '../rpn/find_top_proposals.js';
import type { Matcher } from '../rpn/matcher.js';
import { PROPOSAL_COLUMNS } from '../rpn/proposal_kernel.js';
import type { Trace } from '../rpn/rpn.js';
import { orderOfImage, type Permutations } from '../rpn/subsample_labels.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { allClasses, type BoxLossOptions, type LabelledRegions } from './box_losses.js';
import { type NextRegions, nextStageRegions } from './cascade_stage.js';
import type { Detections } from './fast_rcnn_inference.js';
import { paddedCount } from './region_counts.js';
import { type ChooseDetections, RoiHeads, type RoiLosses, type RoiProposals } from './roi_heads.js';
import type { RoiPooler } from './roi_pooler.js';
import { type ProposalSampling, type SampledProposals, sampleProposals } from './sample_proposals.js';

/** How heads of several stages learn. */
export interface MultiStageTraining {
  /** The draw for the first stage. */
  readonly sampling: Omit<ProposalSampling, 'matcher'>;
  /** A matcher a stage. */
  readonly matchers: readonly Matcher[];
  readonly loss: BoxLossOptions;
}

/** Regions of one image as a stage sees them: with the ground truth's row of each. */
export type StageRegions = LabelledRegions & Pick<SampledProposals, 'matches'>;

/** Where a later stage's regions come from: what moved the regions of the stage before, still a function that has a gradient. */
export interface RegionOrigin {
  /** [R, 4] of the stage before. */
  readonly deltas: tf.Tensor2D;
  /** Per image: the regions of the stage before. */
  readonly regions: readonly LabelledRegions[];
  /** Per image: which of these are still there. */
  readonly kept: readonly Int32Array[];
}

/** What a stage gives in training. The owner disposes of the tensors. */
export interface LearntStage {
  /** By name without the stage, such as `loss_cls`. */
  readonly losses: Readonly<Record<string, tf.Scalar>>;
  /** As of `BatchLosses`. */
  readonly counts: Readonly<Record<string, number>>;
  /** How far the stage moves its regions, [R, 4]. */
  readonly deltas: tf.Tensor2D;
  readonly pending: RoiLosses['pending'];
}

/**
 * Heads of several stages on the same features, each on the boxes that the one before has moved: regions are drawn once, moved, clipped and matched anew
 * between stages in training, and moved on the device in inference. The boxes are the last stage's, the scores the mean of all. What a stage computes, its
 * subclasses say.
 */
export abstract class MultiStageRoiHeads extends RoiHeads {
  /** Of the regions, for inference. */
  protected abstract readonly boxPooler: RoiPooler;
  /** How each stage's deltas move boxes: as many as there are stages. */
  protected abstract readonly transforms: readonly Box2BoxTransform[];
  protected abstract readonly training: MultiStageTraining;

  override get isDivisible(): boolean {
    return true;
  }

  /** A stage on pooled regions [R, r, r, C]: class logits [R, K + 1] and deltas [R, 4]. */
  protected abstract predictStage(
    pooled: tf.Tensor4D,
    stage: number,
    trace?: Trace,
  ): { readonly logits: tf.Tensor2D; readonly deltas: tf.Tensor2D };

  /**
   * A stage's losses on its regions, recorded as a differentiable function of the features.
   * @param origin undefined in the first stage
   */
  protected abstract learnStage(
    features: FeatureMaps,
    regions: readonly StageRegions[],
    stage: number,
    samples: readonly TrainingSample[],
    origin: RegionOrigin | undefined,
  ): LearntStage;

  /** What learns besides, on the regions of the first stage: recorded one after the other. */
  protected learnBranches(
    _features: FeatureMaps,
    _sampled: readonly SampledProposals[],
    _samples: readonly TrainingSample[],
  ): (() => Pick<RoiLosses, 'losses' | 'counts'> & Partial<RoiLosses>)[] {
    return [];
  }

  /**
   * Draws the regions that the first stage and further branches learn from; later stages take what the one before made of them.
   * @param proposals per image, detached
   */
  override sample(proposals: readonly Proposals[], samples: readonly TrainingSample[], order: Permutations): SampledProposals[] {
    const { sampling, matchers } = this.training;
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
    const losses: RoiLosses['losses'] = {};
    const counts: Record<string, number> = {};
    const metrics: Record<string, number> = {};
    const pending: RoiLosses['pending'][number][] = [];
    const { numClasses } = this.training.sampling;
    let regions: readonly StageRegions[] = sampled;
    let deltas: tf.Tensor2D | undefined;
    try {
      for (let stage = 0; stage < this.transforms.length; stage++) {
        let origin: RegionOrigin | undefined;
        if (deltas) {
          const next: NextRegions[] = await this.nextRegions(regions, deltas, stage, samples);
          origin = { deltas, regions, kept: next.map(({ kept }) => kept) };
          regions = next;
          if (pass.trace) traceStage(pass.trace, stage, regions);
        }
        const learnt = pass.record(() => this.learnStage(features, regions, stage, samples, origin));
        deltas?.dispose();
        deltas = learnt.deltas;
        Object.assign(
          losses,
          named(learnt.losses, (name) => `${name}_stage${stage}`),
        );
        Object.assign(
          counts,
          named(learnt.counts, (name) => `${name}_stage${stage}`),
        );
        const classes = allClasses(regions);
        const foreground = classes.filter((label) => label !== numClasses).length;
        metrics[`stage${stage}/roi_head/num_fg_samples`] = foreground / regions.length;
        metrics[`stage${stage}/roi_head/num_bg_samples`] = (classes.length - foreground) / regions.length;
        for (const { values, toMetrics } of learnt.pending)
          pending.push({ values, toMetrics: (read) => named(toMetrics(read), (name) => `stage${stage}/${name}`) });
      }
      for (const branch of this.learnBranches(features, sampled, samples)) {
        const learnt = pass.record(branch);
        Object.assign(losses, learnt.losses);
        Object.assign(counts, learnt.counts);
        Object.assign(metrics, learnt.metrics);
        pending.push(...(learnt.pending ?? []));
      }
      return { losses, counts, metrics, pending };
    } catch (error) {
      tf.dispose([losses, pending.map(({ values }) => values)]);
      throw error;
    } finally {
      deltas?.dispose();
    }
  }

  private async nextRegions(
    regions: readonly LabelledRegions[],
    deltas: tf.Tensor2D,
    stage: number,
    samples: readonly TrainingSample[],
  ): Promise<NextRegions[]> {
    const transform = this.transforms[stage - 1];
    const { matchers, sampling } = this.training;
    const values = deltas.size === 0 ? new Float32Array(0) : await readBack(deltas);
    let at = 0;
    return regions.map(({ boxes }, i) => {
      const { groundTruth, height, width } = samples[i];
      const own = values.subarray(at, (at += boxes.length));
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
    const { transforms } = this;
    const predict = () => {
      let regions = proposals instanceof tf.Tensor ? proposals : regionRows(proposals, trace ? 0 : mostProposals);
      let deltas: tf.Tensor2D | undefined;
      const scores = transforms.map((_, stage) => {
        if (deltas) regions = refineRegions(deltas, regions, transforms[stage - 1], imageSizes);
        const pooled = this.boxPooler.forward(features, regions);
        trace?.(stage === 0 ? 'box_pooled' : `box_pooled#${stage + 1}`, pooled);
        const predicted = this.predictStage(pooled, stage, trace);
        trace?.(`cls_logits.${stage}`, predicted.logits);
        trace?.(`box_deltas.${stage}`, predicted.deltas);
        deltas = predicted.deltas;
        return tf.softmax(predicted.logits);
      });
      const mean = tf.div<tf.Tensor2D>(tf.addN(scores), transforms.length);
      return { scores: mean, deltas: deltas as tf.Tensor2D, regions };
    };
    return this.detect(proposals, imageSizes, transforms[transforms.length - 1], predict, choose);
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

function named<T>(values: Readonly<Record<string, T>>, rename: (name: string) => string): Record<string, T> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [rename(name), value]));
}
