import type { Matcher } from './matcher.js';
import { type Permutations, subsampleLabels } from './subsample_labels.js';

export interface AnchorSampling {
  readonly matcher: Matcher;
  /** Anchors drawn an image, and the largest share of foreground among them. */
  readonly batchSizePerImage: number;
  readonly positiveFraction: number;
  /** Anchors farther outside of the image than this (pixels) are ignored; negative: none is. */
  readonly boundaryThreshold: number;
}

/** What one image's anchors are trained towards. */
export interface LabelledAnchors {
  /** Per anchor: 1 foreground, 0 background, -1 not drawn. */
  readonly labels: Int8Array<ArrayBuffer>;
  /** Foreground anchors, ascending, and the boxes that they should become, [F, 4]. */
  readonly foreground: Int32Array<ArrayBuffer>;
  readonly targets: Float32Array<ArrayBuffer>;
  /** Drawn background anchors, ascending. */
  readonly background: Int32Array<ArrayBuffer>;
}

/**
 * Matches anchors to the objects of an image and draws a batch of them (Detectron2's `RPN.label_and_sample_anchors`).
 * @param anchors   [A, 4], all levels one after another
 * @param boxes     [G, 4] ground truth in the same frame
 * @param imageSize (height, width)
 */
export function labelAnchors(
  anchors: Float32Array,
  boxes: Float32Array,
  imageSize: readonly [number, number],
  { matcher, batchSizePerImage, positiveFraction, boundaryThreshold }: AnchorSampling,
  order: Permutations,
): LabelledAnchors {
  const { matches, labels } = matcher.matchBoxes(boxes, anchors);
  if (boundaryThreshold >= 0) ignoreOutside(anchors, imageSize, boundaryThreshold, labels);
  const sampled = subsampleLabels(labels, batchSizePerImage, positiveFraction, 0, order);
  const foreground = sampled.foreground.sort();
  const background = sampled.background.sort();
  labels.fill(-1);
  for (const anchor of foreground) labels[anchor] = 1;
  for (const anchor of background) labels[anchor] = 0;
  const targets = new Float32Array(foreground.length * 4);
  foreground.forEach((anchor, i) => targets.set(boxes.subarray(matches[anchor] * 4, matches[anchor] * 4 + 4), i * 4));
  return { labels, foreground, targets, background };
}

function ignoreOutside(
  anchors: Float32Array,
  [height, width]: readonly [number, number],
  threshold: number,
  labels: Int8Array,
): void {
  for (let i = 0, at = 0; i < labels.length; i++, at += 4) {
    const isInside =
      anchors[at] >= -threshold &&
      anchors[at + 1] >= -threshold &&
      anchors[at + 2] < width + threshold &&
      anchors[at + 3] < height + threshold;
    if (!isInside) labels[i] = -1;
  }
}
