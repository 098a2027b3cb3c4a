import { decodeRle, rleFromString } from '../../../src/data/rle/rle.js';
import { pasteMaskToRle } from '../../../src/ops/mask_paste/mask_paste.js';
import type { RawInstances } from '../../../src/roi_heads/roi_heads.js';
import type { GoldenSegment } from './compare_panoptic.js';
import { compareMask, type Line } from '../compare.js';

/** An image's results in the manifest. */
export interface FinalImage {
  height: number;
  width: number;
  num_instances?: number;
  num_proposals?: number;
  pred_classes?: number[];
  masks_rle?: { size: [number, number]; counts: string }[];
  segments_info?: GoldenSegment[];
}

/** Pastes the masks of an image and compares them with the golden run lengths, one line for the worst of them and one for the count. */
export function compareFinalMasks(caseName: string, image: number, expected: FinalImage, final: RawInstances): Line[] {
  const count = final.scores.length;
  const key = expected.num_proposals === undefined ? 'num_instances' : 'num_proposals';
  const expectedCount = expected[key] ?? NaN;
  const lines: Line[] = [
    {
      case: caseName,
      name: `final.${image}.${key}`,
      maxAbs: Math.abs(count - expectedCount),
      tolerance: 'exact',
      ok: count === expectedCount,
    },
  ];
  const { masks } = final;
  if (!expected.masks_rle || !masks) return lines;
  const { size, probabilities } = masks;
  const each = expected.masks_rle.slice(0, count).map((golden, i) => {
    const mask = probabilities.subarray(i * size * size, (i + 1) * size * size);
    const ours = pasteMaskToRle(
      Float32Array.from(mask),
      size,
      final.boxes.subarray(i * 4, i * 4 + 4),
      expected.height,
      expected.width,
    );
    const where = { case: caseName, name: `final.${image}.masks` };
    return compareMask(where, decodeRle(ours), decodeRle(rleFromString(golden.counts, golden.size)));
  });
  const failed = each.find((line) => !line.ok);
  const worst = failed ?? each.reduce((a, b) => ((b.maxRel ?? 0) > (a.maxRel ?? 0) ? b : a), each[0]);
  if (worst) lines.push({ ...worst, note: `worst of ${each.length}: ${worst.note}` });
  return lines;
}
