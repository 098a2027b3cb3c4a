import { keypointTargets, maskArea, maskBox } from '../../../../src/data/annotations/index.js';
import { decodeRle, encodeRle, polygonsToRle, rleFromString, rleToString } from '../../../../src/data/rle/index.js';
import { maskTarget } from '../../../../src/roi_heads/mask_targets.js';
import type { MaskAnnotation } from '../../../../src/structures/training_sample.js';
import { compareNumbers, compareValues, type Line } from '../../compare.js';
import { readJson } from '../json_file.js';

interface Rle {
  size: [number, number];
  counts: string;
}

interface Golden {
  masks: {
    polygons: number[][];
    box: number[];
    mask_size: number;
    polygon_target_rle: Rle;
    bitmask_target_rle: Rle;
    polygon_area: number;
    polygon_bbox: number[];
    bitmask_hw: [number, number];
    bitmask_rle: Rle;
    bitmask_bbox: number[];
  }[];
  keypoints: { keypoints: number[][][]; boxes: number[][]; heatmap_size: number; heatmaps: number[][]; valid: number[][] };
}

/** Training targets of masks and keypoints. */
export async function runTargets(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const { masks, keypoints } = readJson<Golden>(folder, 'targets.json');
  masks.forEach((c, i) => {
    const where = (name: string) => ({ case: caseName, name: `targets/${i}/${name}` });
    const outline: MaskAnnotation = { kind: 'polygons', polygons: c.polygons.map((p) => Float64Array.from(p)) };
    add(compareNumbers(where('polygon_area'), [maskArea(outline)], [c.polygon_area], { abs: 0, rel: 1e-6 }));
    add(
      compareNumbers(where('polygon_bbox'), Float32Array.from(maskBox(outline, c.bitmask_hw[1])), c.polygon_bbox, { abs: 1e-4 }),
    );
    const rle = polygonsToRle(c.polygons, ...c.bitmask_hw);
    add(compareValues(where('bitmask_rle'), rleToString(rle), c.bitmask_rle.counts, { abs: 0 }));
    const bitmap: MaskAnnotation = { kind: 'bitmap', bitmap: decodeRle(rleFromString(c.bitmask_rle.counts, c.bitmask_rle.size)) };
    add(compareNumbers(where('bitmask_bbox'), maskBox(bitmap, c.bitmask_hw[1]), c.bitmask_bbox, { abs: 0 }));
    const target = (mask: MaskAnnotation): Uint8Array => {
      const out = new Float32Array(c.mask_size ** 2);
      maskTarget(mask, Float32Array.from(c.box), 0, c.mask_size, c.bitmask_hw[1], out, 0);
      return Uint8Array.from(out);
    };
    const expected = (rle: Rle): Uint8Array => decodeRle(rleFromString(rle.counts, rle.size));
    add(compareNumbers(where('polygon_target'), target(outline), expected(c.polygon_target_rle), { abs: 0 }));
    const [ours, theirs] = [target(bitmap), expected(c.bitmask_target_rle)];
    const different = ours.reduce((n, v, k) => n + (v === theirs[k] ? 0 : 1), 0);
    const ok = different <= 0.01 * ours.length;
    add({ ...where('bitmask_target'), tolerance: '1 % of the pixels', maxAbs: different, ok });
    const again = rleToString(encodeRle(bitmap.bitmap, ...c.bitmask_hw, 'row'));
    add(compareValues(where('bitmask'), again, c.bitmask_rle.counts, { abs: 0 }));
  });
  const { indices, valid } = keypointTargets(
    Float32Array.from(keypoints.keypoints.flat(2)),
    Float32Array.from(keypoints.boxes.flat()),
    keypoints.heatmap_size,
  );
  add(compareNumbers({ case: caseName, name: 'targets/keypoints.heatmaps' }, indices, keypoints.heatmaps.flat(), { abs: 0 }));
  add(compareNumbers({ case: caseName, name: 'targets/keypoints.valid' }, valid, keypoints.valid.flat(), { abs: 0 }));
}
