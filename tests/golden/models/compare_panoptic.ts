import type { Config } from '../../../src/config/index.js';
import { decodeRle } from '../../../src/data/rle/rle.js';
import type { SemanticMap } from '../../../src/meta_arch/meta_architecture.js';
import { pasteMaskToRle } from '../../../src/ops/mask_paste/mask_paste.js';
import type { RawInstances } from '../../../src/roi_heads/roi_heads.js';
import { combinePanoptic, type PanopticMap, panopticOptions } from '../../../src/semantic/combine_panoptic.js';
import { compareNumbers, type Line } from '../compare.js';
import type { HostTensor } from '../layout.js';

/** A segment in the manifest. */
export interface GoldenSegment {
  id: number;
  isthing: boolean;
  category_id: number;
  score?: number;
  area?: number;
  instance_id?: number;
}

/** Puts one image's label map, and its panoptic map where there are masks, among the traced tensors. */
export function tracePixels(
  traced: Map<string, HostTensor>,
  image: number,
  { height, width, labels }: SemanticMap,
  final: RawInstances,
  cfg: Config,
): PanopticMap | undefined {
  traced.set(`sem_seg_argmax.${image}`, { shape: [height, width], data: labels });
  if (!final.masks) return undefined;
  const { size, probabilities } = final.masks;
  const things = Array.from(final.scores, (score, i) => ({
    score,
    categoryId: final.classes[i],
    bitmap: () =>
      decodeRle(
        pasteMaskToRle(
          probabilities.slice(i * size * size, (i + 1) * size * size),
          size,
          final.boxes.subarray(i * 4, i * 4 + 4),
          height,
          width,
        ),
      ),
  }));
  const map = combinePanoptic(things, labels, height, width, panopticOptions(cfg));
  traced.set(`panoptic_seg.${image}`, { shape: [height, width], data: map.ids });
  return map;
}

/** Compares the list of segments: ids, kinds, classes, areas of stuff, which instance; scores to 1e-4. */
export function compareSegments(
  caseName: string,
  image: number,
  expected: readonly GoldenSegment[],
  { segments }: PanopticMap,
): Line {
  const flat = (s: GoldenSegment): number[] => [
    s.id,
    Number(s.isthing),
    s.category_id,
    s.isthing ? s.instance_id! : s.area!,
    s.score ?? 0,
  ];
  const ours = segments.map((s): GoldenSegment => ({
    id: s.id,
    isthing: s.isThing,
    category_id: s.categoryId,
    area: s.area,
    ...(s.score === undefined ? {} : { score: s.score }),
    ...(s.instanceIndex === undefined ? {} : { instance_id: s.instanceIndex }),
  }));
  const where = { case: caseName, name: `final.${image}.segments_info` };
  return compareNumbers(where, ours.flatMap(flat), expected.flatMap(flat), { abs: 1e-4 });
}
