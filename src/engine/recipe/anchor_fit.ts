import type { Config } from '../../config/index.js';
import { type DatasetFacts, inputScale } from './dataset_facts.js';

/** How the anchors of a config cover the objects of a data set. */
export interface AnchorFit {
  /** Share of objects whose best anchor overlaps by at least one half, were it centred on them. */
  readonly covered: number;
  /** The same by sizes scaled with 2^k: the best of them. */
  readonly better: { readonly sizes: number[][]; readonly covered: number } | undefined;
}

/** Judges anchors by shape alone, at the middle one of the training sizes. */
export function anchorFit({ MODEL, INPUT }: Config, { objects }: DatasetFacts): AnchorFit {
  const { SIZES, ASPECT_RATIOS } = MODEL.ANCHOR_GENERATOR;
  const short = INPUT.MIN_SIZE_TRAIN[INPUT.MIN_SIZE_TRAIN.length >> 1];
  const boxes = objects.map(({ height, width, picture }) => {
    const scale = inputScale(picture, short, INPUT.MAX_SIZE_TRAIN);
    return [height * scale, width * scale] as const;
  });
  const ratios = [...new Set(ASPECT_RATIOS.flat())];
  const share = (factor: number): number => {
    const anchors = [...new Set(SIZES.flat())].flatMap((size) =>
      ratios.map((ratio) => [size * factor * Math.sqrt(ratio), (size * factor) / Math.sqrt(ratio)] as const),
    );
    const covered = boxes.filter((box) => anchors.some((anchor) => centredIou(box, anchor) >= 0.5)).length;
    return boxes.length === 0 ? 1 : covered / boxes.length;
  };
  const covered = share(1);
  const [best] = [0.25, 0.5, 2, 4]
    .map((factor) => ({ factor, covered: share(factor) }))
    .sort((a, b) => b.covered - a.covered || Math.abs(Math.log(a.factor)) - Math.abs(Math.log(b.factor)));
  if (best.covered <= covered + 0.05) return { covered, better: undefined };
  return { covered, better: { sizes: SIZES.map((row) => row.map((size) => size * best.factor)), covered: best.covered } };
}

function centredIou(a: readonly [number, number], b: readonly [number, number]): number {
  const both = Math.min(a[0], b[0]) * Math.min(a[1], b[1]);
  return both / (a[0] * a[1] + b[0] * b[1] - both);
}
