import type { Matcher } from '../rpn/matcher.js';
import { type Permutations, subsampleLabels } from '../rpn/subsample_labels.js';
import type { GroundTruth } from '../structures/training_sample.js';
import type { LabelledRegions } from './box_losses.js';

export interface ProposalSampling {
  readonly matcher: Matcher;
  /** Proposals drawn an image, and the largest share of foreground among them. */
  readonly batchSizePerImage: number;
  readonly positiveFraction: number;
  /** Ground truth joins the candidates. */
  readonly appendGroundTruth: boolean;
  /** Classes without the background, whose label this is. */
  readonly numClasses: number;
}

/** Regions of one image that the heads learn from: foreground first; targets are zeros where the image has no objects. */
export interface SampledProposals extends LabelledRegions {
  /** How many rows, at the beginning, are foreground. */
  readonly foregroundCount: number;
  /** [S] rows of the ground truth; meaningful for foreground. */
  readonly matches: Int32Array<ArrayBuffer>;
}

/**
 * Matches proposals to the objects of an image and draws a batch of them (Detectron2's `ROIHeads.label_and_sample_proposals`).
 * @param proposals [R, 4] in the input frame, detached
 */
export function sampleProposals(
  proposals: Float32Array,
  groundTruth: GroundTruth,
  { matcher, batchSizePerImage, positiveFraction, appendGroundTruth, numClasses }: ProposalSampling,
  order: Permutations,
): SampledProposals {
  const candidates = appendGroundTruth ? joined(proposals, groundTruth.boxes) : proposals;
  const { matches, labels } = matcher.matchBoxes(groundTruth.boxes, candidates);
  const hasObjects = groundTruth.classes.length > 0;
  const classes = Int32Array.from(labels, (label, i) => {
    if (!hasObjects || label === 0) return numClasses;
    return label === -1 ? -1 : groundTruth.classes[matches[i]];
  });
  const { foreground, background } = subsampleLabels(classes, batchSizePerImage, positiveFraction, numClasses, order);
  const rows = new Int32Array(foreground.length + background.length);
  rows.set(foreground);
  rows.set(background, foreground.length);
  const boxes = new Float32Array(rows.length * 4);
  const targets = new Float32Array(rows.length * 4);
  rows.forEach((row, i) => {
    boxes.set(candidates.subarray(row * 4, row * 4 + 4), i * 4);
    targets.set(groundTruth.boxes.subarray(matches[row] * 4, matches[row] * 4 + 4), i * 4);
  });
  return {
    boxes,
    classes: rows.map((row) => classes[row]),
    foregroundCount: foreground.length,
    matches: rows.map((row) => matches[row]),
    targets,
  };
}

function joined(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
