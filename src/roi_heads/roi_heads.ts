import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import { ArgumentError } from '../errors.js';
import { Module } from '../layers/module.js';
import { readBack } from '../ops/read_back.js';
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
   */
  async infer(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
    mostProposals?: number,
  ): Promise<RawInstances[]> {
    return this.inferOnBoxes(features, await this.inferBoxes(features, proposals, imageSizes, trace, mostProposals), trace);
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
   * @throws ArgumentError where heads of one's own pass over `choose` and a class is missing
   */
  async inferGiven(
    features: FeatureMaps,
    given: readonly GivenDetections[],
    imageSizes: readonly (readonly [number, number])[],
  ): Promise<RawInstances[]> {
    const isComplete = given.every(({ boxes, classes, scores }) =>
      Array.from({ length: boxes.length / 4 }, (_, i) => classes[i] !== undefined && scores[i] !== undefined).every(Boolean),
    );
    const probabilities = isComplete ? undefined : await this.classify(features, given, imageSizes);
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
  ): Promise<Float32Array[]> {
    const proposals = given.map(({ boxes }) => ({ boxes, objectnessLogits: new Float32Array(boxes.length / 4) }));
    if (rowsOf(proposals) === 0) return given.map(() => new Float32Array(0));
    const found: Float32Array[] = [];
    await this.inferBoxes(features, proposals, imageSizes, undefined, 0, (_, scores) => {
      found.push(scores.slice());
      return noDetections();
    });
    if (found.length !== given.length)
      throw new ArgumentError(
        `${this.getClassName()} cannot say the class of given boxes: its inferBoxes passes over 'choose'. Give class and score of every box.`,
      );
    return found;
  }

  /** Masks and keypoints of detections. */
  protected async inferOnBoxes(features: FeatureMaps, detections: readonly Detections[], trace?: Trace): Promise<RawInstances[]> {
    return this.inferKeypoints(features, await this.inferMasks(features, detections, trace), trace);
  }

  /** Runs the heads on empty regions, for every number of them that `infer` will give to a backend that compiles programs. */
  async warmUp(features: FeatureMaps, imageSizes: readonly (readonly [number, number])[], mostProposals: number): Promise<void> {
    for (const count of regionCounts(mostProposals)) {
      const none = imageSizes.slice(1).map(() => ({ boxes: new Float32Array(0), objectnessLogits: new Float32Array(0) }));
      const all = { boxes: new Float32Array(4 * count), objectnessLogits: new Float32Array(count) };
      await this.inferBoxes(features, [all, ...none], imageSizes, undefined, mostProposals);
    }
    const { mask, keypoint } = this;
    for (const count of regionCounts(this.selection.topK * imageSizes.length)) {
      const boxes = imageSizes.map((_, image) => new Float32Array(image === 0 ? 4 * count : 0));
      const outputs = tf.tidy(() => [
        ...(mask ? [MaskHead.probabilities(mask.forward(features, boxes), new Int32Array(count))] : []),
        ...(keypoint ? [keypoint.forward(features, boxes)] : []),
      ]);
      for (const output of outputs) await readBack(output);
      tf.dispose(outputs);
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

  private async inferMasks(features: FeatureMaps, detections: readonly Detections[], trace?: Trace): Promise<RawInstances[]> {
    const { mask } = this;
    if (!mask) return detections.map((found) => ({ ...found, masks: undefined }));
    const counts = detections.map(({ scores }) => scores.length);
    const rows = counts.reduce((a, b) => a + b, 0);
    const { size } = mask;
    if (rows === 0) return detections.map((found) => ({ ...found, masks: { size, probabilities: new Float32Array(0) } }));
    const boxes = detections.map((found) => found.boxes);
    const most = trace ? rows : this.selection.topK * detections.length;
    const padded = padRegions(boxes, most);
    const classes = new Int32Array(padded.reduce((sum, { length }) => sum + length / 4, 0));
    let row = 0;
    for (const found of detections) {
      classes.set(found.classes, row);
      row += found.classes.length;
    }
    const probabilities = tf.tidy(() => {
      const logits = mask.forward(features, padded, trace);
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

  private async inferKeypoints(features: FeatureMaps, found: readonly RawInstances[], trace?: Trace): Promise<RawInstances[]> {
    const { keypoint } = this;
    if (!keypoint) return [...found];
    const { count, size } = keypoint;
    const counts = found.map(({ scores }) => scores.length);
    const rows = counts.reduce((a, b) => a + b, 0);
    if (rows === 0) return found.map((image) => ({ ...image, keypoints: { count, values: new Float32Array(0) } }));
    const boxes = found.map((image) => image.boxes);
    const padded = padRegions(boxes, trace ? rows : this.selection.topK * found.length);
    const heatmaps = tf.tidy(() => keypoint.forward(features, padded, trace));
    const values = await readBack(heatmaps);
    heatmaps.dispose();
    const area = size * size * count;
    let first = 0;
    return found.map((image, i) => {
      const own = values.subarray(first * area, (first + counts[i]) * area);
      first += counts[i];
      if (trace) traceHeatmaps(trace, `raw.${i}.pred_keypoint_heatmaps`, own, [counts[i], size, size, count]);
      const places = heatmapsToKeypoints(own, image.boxes, count, size);
      // Without the logit, as Detectron2 gives them out.
      return { ...image, keypoints: { count, values: places.filter((_, at) => at % 4 !== 2) } };
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
