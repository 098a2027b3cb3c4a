import { clipBox, isLargerThan } from '../rpn/find_top_proposals.js';
import type { Box2BoxTransform } from '../rpn/box_transform.js';
import type { Matcher } from '../rpn/matcher.js';
import type { GroundTruth } from '../structures/training_sample.js';
import type { LabelledRegions } from './box_losses.js';

/** Regions of one image that a stage has made of those before. */
export interface NextRegions extends LabelledRegions {
  /** [S] rows of the ground truth; meaningful for foreground. */
  readonly matches: Int32Array<ArrayBuffer>;
  /** [S] rows of the regions before that they come from, ascending. */
  readonly kept: Int32Array<ArrayBuffer>;
}

/**
 * The regions of a cascade's next stage in training (Detectron2's `_create_proposals_from_boxes` and `_match_and_label_boxes`): the boxes that a stage
 * predicted, clipped, without the empty ones, matched anew; all of them stay, and no ground truth joins.
 * @param boxes     [R, 4] what the stage saw
 * @param deltas    [R, 4] what it predicted for them
 * @param imageSize (height, width)
 */
export function nextStageRegions(
  boxes: Float32Array,
  deltas: Float32Array,
  transform: Box2BoxTransform,
  imageSize: readonly [number, number],
  groundTruth: GroundTruth,
  matcher: Matcher,
  numClasses: number,
): NextRegions {
  const moved = transform.applyDeltas(deltas, boxes);
  const rows: number[] = [];
  for (let at = 0; at < moved.length; at += 4) {
    clipBox(moved, at, imageSize);
    if (!isLargerThan(moved, at, 0)) continue;
    moved.copyWithin(rows.length * 4, at, at + 4);
    rows.push(at / 4);
  }
  const kept = Int32Array.from(rows);
  const regions = moved.slice(0, kept.length * 4);
  const { matches, labels } = matcher.matchBoxes(groundTruth.boxes, regions);
  const hasObjects = groundTruth.classes.length > 0;
  const targets = new Float32Array(regions.length);
  if (hasObjects) matches.forEach((match, i) => targets.set(groundTruth.boxes.subarray(match * 4, match * 4 + 4), i * 4));
  const classes = Int32Array.from(labels, (label, i) =>
    hasObjects && label === 1 ? groundTruth.classes[matches[i]] : numClasses,
  );
  return { boxes: regions, classes, targets, matches, kept };
}
