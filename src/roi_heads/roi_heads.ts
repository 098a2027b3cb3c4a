import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import { Module } from '../layers/module.js';
import { readBack } from '../ops/read_back.js';
import type { Box2BoxTransform } from '../rpn/box_transform.js';
import type { Proposals } from '../rpn/find_top_proposals.js';
import { PROPOSAL_COLUMNS, type ProposalRows, splitProposals } from '../rpn/proposal_kernel.js';
import type { Trace } from '../rpn/rpn.js';
import type { Permutations } from '../rpn/subsample_labels.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { type Detections, type DetectionSelection, fastRcnnInference } from './fast_rcnn_inference.js';
import type { MaskBranch } from './mask_branch.js';
import { MaskHead } from './mask_head.js';
import type { SampledProposals } from './sample_proposals.js';

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

/** Scores and deltas of all regions of a batch, still on the device. */
export interface BoxPredictions {
  /** [R, K + 1] probabilities, background last. */
  readonly scores: tf.Tensor2D;
  /** [R, 4K] or [R, 4]. */
  readonly deltas: tf.Tensor2D;
}

/** Proposals per image, in input pixels; or [R, 6] as `Rpn.proposeOnDevice` gives them, read together with the predictions. */
export type RoiProposals = readonly Proposals[] | tf.Tensor2D;

/** What every second stage shares: predictions on regions become detections, detections get masks. */
export abstract class RoiHeads extends Module {
  protected abstract readonly selection: DetectionSelection;
  protected abstract readonly mask: MaskBranch | undefined;

  protected abstract inferBoxes(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
  ): Promise<Detections[]>;

  /**
   * Draws the regions that the heads learn from.
   * @param proposals per image, detached
   */
  abstract sample(proposals: readonly Proposals[], samples: readonly TrainingSample[], order: Permutations): SampledProposals[];

  /**
   * The losses on sampled regions, a differentiable function of the features.
   * @param features maps by name, each [N, H, W, C]
   */
  abstract computeLosses(
    features: FeatureMaps,
    sampled: readonly SampledProposals[],
    samples: readonly TrainingSample[],
  ): RoiLosses;

  /** The heads are driven by `infer`, not by `apply`: what they compute depends on values that come back from the device. */
  override call(): tf.Tensor {
    throw new Error(`${this.getClassName()} is not called with tensors alone; use infer().`);
  }

  /**
   * @param features   maps by name, each [N, H, W, C]
   * @param imageSizes (height, width) of each image inside the padded input
   */
  async infer(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
  ): Promise<RawInstances[]> {
    const detections = await this.inferBoxes(features, proposals, imageSizes, trace);
    return this.inferMasks(features, detections, trace);
  }

  /** Runs `predict` and turns what it gives into detections, in one read. */
  protected async detect(
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    transform: Box2BoxTransform,
    predict: () => BoxPredictions & { readonly regions?: tf.Tensor2D },
  ): Promise<Detections[]> {
    const rows = rowsOf(proposals);
    const { selection } = this;
    if (rows === 0)
      return imageSizes.map((size) => fastRcnnInference(new Float32Array(0), new Float32Array(0), 0, size, selection));
    let columns = 0;
    let onDevice = proposals instanceof tf.Tensor;
    const flat = tf.tidy(() => {
      const { scores, deltas, regions = proposals instanceof tf.Tensor ? proposals : undefined } = predict();
      columns = scores.shape[1];
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
      return fastRcnnInference(decoded, own, count, imageSizes[image], selection);
    });
  }

  private async inferMasks(features: FeatureMaps, detections: readonly Detections[], trace?: Trace): Promise<RawInstances[]> {
    const { mask } = this;
    if (!mask) return detections.map((found) => ({ ...found, masks: undefined }));
    const counts = detections.map(({ scores }) => scores.length);
    const rows = counts.reduce((a, b) => a + b, 0);
    const { size } = mask;
    if (rows === 0) return detections.map((found) => ({ ...found, masks: { size, probabilities: new Float32Array(0) } }));
    const classes = new Int32Array(rows);
    let row = 0;
    for (const found of detections) {
      classes.set(found.classes, row);
      row += found.classes.length;
    }
    const boxes = detections.map((found) => found.boxes);
    const probabilities = tf.tidy(() => {
      const logits = mask.forward(features, boxes, trace);
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

/** How many regions there are in all. */
function rowsOf(proposals: RoiProposals): number {
  return proposals instanceof tf.Tensor ? proposals.shape[0] : proposals.reduce((sum, { boxes }) => sum + boxes.length / 4, 0);
}
