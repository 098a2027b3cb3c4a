import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import { ArgumentError } from '../errors.js';
import { Module } from '../layers/module.js';
import { PendingRead, readBack, readTogether } from '../ops/read_back.js';
import type { Box2BoxTransform } from '../rpn/box_transform.js';
import type { Proposals } from '../rpn/find_top_proposals.js';
import { PROPOSAL_COLUMNS, type ProposalRows, splitProposals } from '../rpn/proposal_kernel.js';
import type { Trace } from '../rpn/rpn.js';
import type { Permutations } from '../rpn/subsample_labels.js';
import type { TrainingPass } from '../meta_arch/training_pass.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { type Detections, type DetectionSelection, fastRcnnInference, noDetections } from './fast_rcnn_inference.js';
import { heatmapsToKeypoints } from './heatmaps_to_keypoints.js';
import type { KeypointBranch } from './keypoint_branch.js';
import type { MaskBranch } from './mask_branch.js';
import { MaskHead } from './mask_head.js';
import { padRegions, regionCounts } from './region_counts.js';
import type { SampledProposals } from './sample_proposals.js';

/** Detections of one image in the input frame, with mask probabilities [D, M, M] and keypoints where the model has them. */
export interface RawInstances extends Detections {
  readonly masks: { readonly size: number; readonly probabilities: Float32Array } | undefined;
  /** [D, P, 3] as (x, y, score). */
  readonly keypoints?: { readonly count: number; readonly values: Float32Array };
}

/** Weighted losses of one batch by Detectron2's names, and what is measured on the way. */
export interface RoiLosses {
  readonly losses: Record<string, tf.Scalar>;
  /** As of `BatchLosses`. */
  readonly counts?: Readonly<Record<string, number>>;
  readonly metrics: Record<string, number>;
  /** Values that become metrics once they are read back. */
  readonly pending: readonly { readonly values: tf.Tensor; toMetrics(values: Float32Array): Record<string, number> }[];
}

/** Scores and deltas of all regions of a batch, still on the device. */
export interface BoxPredictions {
  /** [R, K + 1] probabilities, background last. */
  readonly scores: tf.Tensor2D;
  /** [R, 4K] or [R, 4]. */
  readonly deltas: tf.Tensor2D;
}

/** Proposals per image, in input pixels; or [R, 6] as `Rpn.proposeOnDevice` gives them, read together with the predictions. */
export type RoiProposals = readonly Proposals[] | tf.Tensor2D;

/** Boxes of one image whose masks are asked for, in input pixels; what is undefined the box head says. */
export interface GivenDetections {
  /** [G, 4] */
  readonly boxes: Float32Array<ArrayBuffer>;
  readonly classes: ArrayLike<number | undefined>;
  readonly scores: ArrayLike<number | undefined>;
}

/** Makes detections of one image from its regions: decoded boxes [R, 4K] or [R, 4] and class probabilities [R, K + 1]. */
export type ChooseDetections = (
  boxes: Float32Array,
  scores: Float32Array,
  rows: number,
  imageSize: readonly [number, number],
) => Detections;

/** What every second stage shares: predictions on regions become detections, detections get masks and keypoints. */
export abstract class RoiHeads extends Module {
  protected abstract readonly selection: DetectionSelection;
  protected abstract readonly mask: MaskBranch | undefined;
  protected abstract readonly keypoint: KeypointBranch | undefined;

  /**
   * Whether the pictures of a batch may lie in several processes. Heads of one's own say so where `sample` draws with `orderOfImage` and `learn` gives `counts`;
   * see `docs/your_own_parts.md`.
   */
  get isDivisible(): boolean {
    return false;
  }

  protected abstract inferBoxes(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
    /** Of all images together; the rows are filled up for it on backends that compile programs. */
    mostProposals?: number,
    /** In the place of the usual choice by score and suppression; for `detect`. */
    choose?: ChooseDetections,
  ): Promise<Detections[]>;

  /**
   * Draws the regions that the heads learn from.
   * @param proposals per image, detached
   */
  abstract sample(proposals: readonly Proposals[], samples: readonly TrainingSample[], order: Permutations): SampledProposals[];

  /**
   * The losses on sampled regions, recorded as a differentiable function of the features.
   * @param features maps by name, each [N, H, W, C]
   */
  abstract learn(
    features: FeatureMaps,
    sampled: readonly SampledProposals[],
    samples: readonly TrainingSample[],
    pass: TrainingPass,
  ): Promise<RoiLosses>;

  /** The heads are driven by `infer`, not by `apply`: what they compute depends on values that come back from the device. */
  override call(): tf.Tensor {
    throw new Error(`${this.getClassName()} is not called with tensors alone; use infer().`);
  }

  /**
   * @param features   maps by name, each [N, H, W, C]
   * @param imageSizes (height, width) of each image inside the padded input
   * @param mostProposals that can come of all images together, where it is known
   * @param beside        what else is wanted of the device: it comes with the last values of the heads
   */
  async infer(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
    mostProposals?: number,
    beside?: readonly PendingRead[],
  ): Promise<RawInstances[]> {
    const detections = await this.inferBoxes(features, proposals, imageSizes, trace, mostProposals);
    return this.inferOnBoxes(features, detections, trace, beside);
  }

  /** The boxes of `infer` alone. */
  async inferBoxesOnly(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    mostProposals?: number,
  ): Promise<RawInstances[]> {
    const found = await this.inferBoxes(features, proposals, imageSizes, undefined, mostProposals);
    return found.map((image) => ({ ...image, masks: undefined }));
  }

  /**
   * Masks and keypoints of boxes that are given (Detectron2's `forward_with_given_boxes`), in their order: none is moved, dropped or suppressed. The box
   * head says the class, or its probability, where that is not given; a cascade by the mean of its stages, each on the box that the one before has moved.
   * @param mostProposals as of `infer`; a backend that compiles programs compiles none for fewer boxes, nor for as many as there can be detections
   * @throws ArgumentError where heads of one's own pass over `choose` and a class is missing
   */
  async inferGiven(
    features: FeatureMaps,
    given: readonly GivenDetections[],
    imageSizes: readonly (readonly [number, number])[],
    mostProposals = 0,
  ): Promise<RawInstances[]> {
    const isComplete = given.every(({ boxes, classes, scores }) =>
      Array.from({ length: boxes.length / 4 }, (_, i) => classes[i] !== undefined && scores[i] !== undefined).every(Boolean),
    );
    const probabilities = isComplete ? undefined : await this.classify(features, given, imageSizes, mostProposals);
    const detections = given.map(({ boxes, classes, scores }, image): Detections => {
      const count = boxes.length / 4;
      const own = probabilities?.[image] ?? new Float32Array(0);
      const columns = own.length / count;
      const label = Int32Array.from({ length: count }, (_, i) => classes[i] ?? likeliest(own, i * columns, columns - 1));
      const score = Float32Array.from({ length: count }, (_, i) => scores[i] ?? own[i * columns + label[i]]);
      return { boxes, classes: label, scores: score, rows: Int32Array.from(label, (_, i) => i) };
    });
    return this.inferOnBoxes(features, detections);
  }

  /** Class probabilities [G, K + 1] of given regions, per image, background last. */
  private async classify(
    features: FeatureMaps,
    given: readonly GivenDetections[],
    imageSizes: readonly (readonly [number, number])[],
    mostProposals: number,
  ): Promise<Float32Array[]> {
    const proposals = given.map(({ boxes }) => ({ boxes, objectnessLogits: new Float32Array(boxes.length / 4) }));
    if (rowsOf(proposals) === 0) return given.map(() => new Float32Array(0));
    const found: Float32Array[] = [];
    await this.inferBoxes(features, proposals, imageSizes, undefined, mostProposals, (_, scores) => {
      found.push(scores.slice());
      return noDetections();
    });
    if (found.length !== given.length)
      throw new ArgumentError(
        `${this.getClassName()} cannot say the class of given boxes: its inferBoxes passes over 'choose'. Give class and score of every box.`,
      );
    return found;
  }

  /** Masks and keypoints of detections, in one read. @param beside as of `infer` */
  protected async inferOnBoxes(
    features: FeatureMaps,
    detections: readonly Detections[],
    trace?: Trace,
    beside: readonly PendingRead[] = [],
  ): Promise<RawInstances[]> {
    const rows = detections.reduce((sum, { scores }) => sum + scores.length, 0);
    const boxes = detections.map((found) => found.boxes);
    const padded = padRegions(boxes, trace ? rows : this.selection.topK * detections.length);
    const outputs = rows === 0 ? [] : this.branchesOnDevice(features, padded, detections, trace);
    const values = await readTogether(outputs, beside).finally(() => tf.dispose(outputs));
    const masks = this.mask && this.masksOf(detections, values.shift() ?? new Float32Array(0));
    const keypoints = this.keypoint && this.keypointsOf(detections, values.shift() ?? new Float32Array(0), trace);
    return detections.map((found, image) => ({
      ...found,
      masks: masks?.[image],
      ...(keypoints ? { keypoints: keypoints[image] } : {}),
    }));
  }

  /**
   * Runs the heads on empty regions, for every number of them that `infer` will give to a backend that compiles programs.
   * @param beside what will be read with the heads' last values
   */
  async warmUp(
    features: FeatureMaps,
    imageSizes: readonly (readonly [number, number])[],
    mostProposals: number,
    beside?: tf.Tensor,
  ): Promise<void> {
    for (const count of regionCounts(mostProposals)) {
      const none = imageSizes.slice(1).map(() => ({ boxes: new Float32Array(0), objectnessLogits: new Float32Array(0) }));
      const all = { boxes: new Float32Array(4 * count), objectnessLogits: new Float32Array(count) };
      await this.inferBoxes(features, [all, ...none], imageSizes, undefined, mostProposals);
    }
    for (const count of regionCounts(this.selection.topK * imageSizes.length)) {
      const boxes = imageSizes.map((_, image) => new Float32Array(image === 0 ? 4 * count : 0));
      const outputs = this.branchesOnDevice(features, boxes, []);
      await readTogether(outputs, beside ? [new PendingRead(beside)] : []).finally(() => tf.dispose(outputs));
    }
  }

  /** Runs `predict` and turns what it gives into detections, in one read. */
  protected async detect(
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    transform: Box2BoxTransform,
    predict: () => BoxPredictions & { readonly regions?: tf.Tensor2D },
    choose: ChooseDetections = (boxes, scores, count, size) => fastRcnnInference(boxes, scores, count, size, this.selection),
  ): Promise<Detections[]> {
    if (rowsOf(proposals) === 0) return imageSizes.map((size) => choose(new Float32Array(0), new Float32Array(0), 0, size));
    let rows = 0;
    let columns = 0;
    let onDevice = proposals instanceof tf.Tensor;
    const flat = tf.tidy(() => {
      const { scores, deltas, regions = proposals instanceof tf.Tensor ? proposals : undefined } = predict();
      [rows, columns] = scores.shape;
      onDevice = regions !== undefined;
      const outputs = [scores, deltas, ...(regions ? [regions] : [])];
      return tf.concat(outputs.map((output) => tf.reshape(output, [-1])));
    });
    const values = await readBack(flat);
    flat.dispose();
    const scores = values.subarray(0, rows * columns);
    const end = values.length - (onDevice ? rows * PROPOSAL_COLUMNS : 0);
    const deltas = values.subarray(rows * columns, end);
    const boxColumns = deltas.length / rows;
    const chosen = onDevice
      ? splitProposals(values.subarray(end), imageSizes.length)
      : withFirstRows(proposals as readonly Proposals[]);
    return chosen.map(({ boxes, first }, image) => {
      const count = boxes.length / 4;
      const decoded = transform.applyDeltas(deltas.subarray(first * boxColumns, (first + count) * boxColumns), boxes);
      const own = scores.subarray(first * columns, (first + count) * columns);
      return choose(decoded, own, count, imageSizes[image]);
    });
  }

  /**
   * The branches of the model on boxes, one at least in all.
   * @param boxes per image, which may be more than the detections
   * @returns     mask probabilities [R, M, M] and keypoint heatmaps [R, S, S, P], of these what there is
   */
  private branchesOnDevice(
    features: FeatureMaps,
    boxes: readonly Float32Array[],
    detections: readonly Detections[],
    trace?: Trace,
  ): tf.Tensor[] {
    const { mask, keypoint } = this;
    const classes = new Int32Array(boxes.reduce((sum, { length }) => sum + length / 4, 0));
    let row = 0;
    for (const found of detections) {
      classes.set(found.classes, row);
      row += found.classes.length;
    }
    return tf.tidy(() => {
      const outputs: tf.Tensor[] = [];
      if (mask) {
        const logits = mask.forward(features, boxes, trace);
        trace?.('mask_logits', logits);
        outputs.push(MaskHead.probabilities(logits, classes));
      }
      if (keypoint) outputs.push(keypoint.forward(features, boxes, trace));
      return outputs;
    });
  }

  /** @param values of all images' masks, then of the filling */
  private masksOf(detections: readonly Detections[], values: Float32Array): RawInstances['masks'][] {
    const { size } = this.mask!;
    let at = 0;
    return detections.map(({ scores }) => ({
      size,
      probabilities: values.slice(at, (at += scores.length * size * size)),
    }));
  }

  /** @param values of all images' heatmaps, then of the filling */
  private keypointsOf(detections: readonly Detections[], values: Float32Array, trace?: Trace): RawInstances['keypoints'][] {
    const { count, size, score } = this.keypoint!;
    const leftOut = score === 'softmax' ? 2 : 3;
    let at = 0;
    return detections.map(({ boxes, scores }, image) => {
      const own = values.subarray(at, (at += scores.length * size * size * count));
      if (trace && values.length > 0)
        traceHeatmaps(trace, `raw.${image}.pred_keypoint_heatmaps`, own, [scores.length, size, size, count]);
      const places = heatmapsToKeypoints(own, boxes, count, size);
      // Of the two scores one, as the model's makers give them out.
      return { count, values: places.filter((_, i) => i % 4 !== leftOut) };
    });
  }
}

function traceHeatmaps(trace: Trace, name: string, values: Float32Array, shape: [number, number, number, number]): void {
  const tensor = tf.tensor4d(values, shape);
  trace(name, tensor);
  tensor.dispose();
}

/** The column of the largest of some values; the first of equal ones. */
function likeliest(values: Float32Array, first: number, count: number): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (values[first + i] > values[first + best]) best = i;
  return best;
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

/** How many regions there are in all. */
function rowsOf(proposals: RoiProposals): number {
  return proposals instanceof tf.Tensor ? proposals.shape[0] : proposals.reduce((sum, { boxes }) => sum + boxes.length / 4, 0);
}
