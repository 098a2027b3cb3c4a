import {
  annotationsToGroundTruth,
  isMaskEmpty,
  keypointFlipIndices,
  maskArea,
  maskBox,
  selectObjects,
  transformAnnotation,
  withoutEmpty,
  type SourceAnnotation,
} from '../../../../src/data/annotations/index.js';
import { encodeRle, rleToString } from '../../../../src/data/rle/index.js';
import { TransformList } from '../../../../src/data/transforms/index.js';
import { nonemptyBoxes } from '../../../../src/structures/boxes.js';
import type { GroundTruth, MaskAnnotation } from '../../../../src/structures/training_sample.js';
import { compareNumbers, compareValues, type Line } from '../../compare.js';
import { readJson } from '../json_file.js';
import { transformOf, type GoldenTransform } from './golden_transforms.js';
import { compareCutPolygons } from './polygons.js';

interface Rle {
  size: [number, number];
  counts: string;
}

interface GoldenInstances {
  gt_boxes: number[][];
  gt_classes: number[];
  gt_keypoints?: number[][][];
  gt_masks: (number[][] | Rle)[];
  mask_bounding_boxes: (number | string)[][];
  mask_nonempty: boolean[];
  mask_area: number[] | null;
  'box_nonempty_1e-5': boolean[];
  filter_empty_keep: boolean[];
  filter_empty_keep_by_box_only: boolean[];
  filter_empty_keep_box_threshold_5: boolean[];
}

interface Case {
  image_hw: [number, number];
  annotations: SourceAnnotation[];
  transforms: GoldenTransform[];
  out_hw: [number, number];
  out: {
    bbox: number[];
    category_id: number;
    keypoints?: number[][];
    segmentation?: number[][] | { mask_as_rle: Rle };
  }[];
  instances_polygon?: GoldenInstances;
  instances_bitmask?: GoldenInstances;
}

interface Golden {
  keypoint_names: string[];
  keypoint_flip_map: [string, string][];
  keypoint_hflip_indices: number[];
  cases: Case[];
}

/** Objects moved with their picture and gathered. */
export async function runAnnotations(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const golden = readJson<Golden>(folder, 'annotations.json');
  const flips = keypointFlipIndices(golden.keypoint_names, golden.keypoint_flip_map);
  add(compareValues({ case: caseName, name: 'keypoint_hflip_indices' }, flips, golden.keypoint_hflip_indices, { abs: 0 }));
  const none = annotationsToGroundTruth([], { height: 4, width: 4 });
  add(
    compareValues({ case: caseName, name: 'empty' }, [none.boxes.length, Object.keys(none)], [0, ['boxes', 'classes']], {
      abs: 0,
    }),
  );
  golden.cases.forEach((c, k) => {
    const where = (name: string) => ({ case: caseName, name: `annotations/${k}/${name}` });
    const target = { height: c.out_hw[0], width: c.out_hw[1] };
    const source = { height: c.image_hw[0], width: c.image_hw[1] };
    const transform = new TransformList(c.transforms.map(transformOf));
    const cuts = c.transforms.some((t) => t.type === 'CropTransform');
    const moved = c.annotations.map((a) => transformAnnotation(a, transform, { source, target, keypointFlipIndices: flips }));
    moved.forEach((ours, i) => {
      const theirs = c.out[i]!;
      add(compareNumbers(where(`${i}.bbox`), ours.box, theirs.bbox, { abs: 1e-4 }));
      if (theirs.keypoints)
        add(compareNumbers(where(`${i}.keypoints`), ours.keypoints ?? [], theirs.keypoints.flat(), { abs: 1e-4 }));
      const outline = theirs.segmentation;
      if (outline)
        compareMasks(
          where(`${i}.segmentation`),
          ours.mask!,
          'mask_as_rle' in outline ? outline.mask_as_rle : outline,
          target,
          cuts,
        ).forEach(add);
    });
    for (const [format, expected] of [
      ['polygon', c.instances_polygon],
      ['bitmask', c.instances_bitmask],
    ] as const) {
      if (!expected) continue;
      const keypoints = expected.gt_keypoints ? flips.length : undefined;
      const truth = annotationsToGroundTruth(moved, target, { masks: format, ...(keypoints ? { keypoints } : {}) });
      compareInstances((name) => where(`${format}.${name}`), truth, expected, target, cuts).forEach(add);
    }
  });
}

function compareInstances(
  where: (name: string) => { case: string; name: string },
  truth: GroundTruth,
  expected: GoldenInstances,
  target: { height: number; width: number },
  cuts: boolean,
): Line[] {
  const masks = truth.masks!;
  // Which objects a filter keeps, told by giving each its number as class.
  const numbered = { ...truth, classes: Int32Array.from(truth.classes, (_, i) => i) };
  const kept = (options: Parameters<typeof withoutEmpty>[1]): boolean[] => {
    const left = new Set(withoutEmpty(numbered, options).classes);
    return masks.map((_, i) => left.has(i));
  };
  const flags = {
    mask_nonempty: masks.map((m) => !isMaskEmpty(m)),
    'box_nonempty_1e-5': nonemptyBoxes(truth.boxes, 1e-5),
    filter_empty_keep: kept({}),
    filter_empty_keep_by_box_only: kept({ byMask: false }),
    filter_empty_keep_box_threshold_5: kept({ boxThreshold: 5 }),
  };
  const theirFlags = Object.fromEntries(Object.keys(flags).map((key) => [key, expected[key as keyof typeof flags]]));
  const boxes = masks.map((m) => maskBox(m, target.width));
  return [
    compareNumbers(where('gt_boxes'), truth.boxes, expected.gt_boxes.flat(), { abs: 1e-4 }),
    compareNumbers(where('gt_classes'), truth.classes, expected.gt_classes, { abs: 0 }),
    compareNumbers(where('gt_keypoints'), truth.keypoints ?? [], (expected.gt_keypoints ?? []).flat(2), { abs: 1e-4 }),
    compareValues(where('mask_bounding_boxes'), boxes, expected.mask_bounding_boxes, { abs: 1e-4 }),
    compareValues(where('flags'), flags, theirFlags, { abs: 0 }),
    ...(expected.mask_area
      ? [compareNumbers(where('mask_area'), masks.map(maskArea), expected.mask_area, { abs: 1e-9, rel: 1e-6 })]
      : []),
    ...masks.flatMap((mask, i) => compareMasks(where(`gt_masks.${i}`), mask, expected.gt_masks[i]!, target, cuts)),
    compareNumbers(where('selected'), selectObjects(truth, [truth.classes.length - 1]).classes, expected.gt_classes.slice(-1), {
      abs: 0,
    }),
  ];
}

function compareMasks(
  where: { case: string; name: string },
  ours: MaskAnnotation,
  theirs: number[][] | Rle,
  { height, width }: { height: number; width: number },
  cuts: boolean,
): Line[] {
  if (Array.isArray(theirs)) {
    const polygons = ours.kind === 'polygons' ? ours.polygons : [];
    if (cuts) return compareCutPolygons(where, polygons, theirs);
    return [
      compareValues(
        where,
        polygons.map((p) => [...p]),
        theirs,
        { abs: 1e-6 },
      ),
    ];
  }
  const counts = ours.kind === 'bitmap' ? rleToString(encodeRle(ours.bitmap, height, width, 'row')) : 'polygons';
  return [compareValues(where, { size: [height, width], counts }, theirs, { abs: 0 })];
}
