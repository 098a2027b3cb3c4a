import { join } from 'node:path';
import sharp from 'sharp';
import type { PanopticCategory, PanopticResult, PanopticSegment } from '../../../src/evaluation/panoptic_quality.js';
import { panopticIds } from '../../../src/data/coco/panoptic_png.js';
import { PanopticQuality } from '../../../src/evaluation/panoptic_quality.js';
import { compareValues, type Line } from '../compare.js';
import { readJson } from './json_file.js';

interface Mean {
  pq: number;
  sq: number;
  rq: number;
  n: number;
}

interface Expected {
  All: Mean;
  Things: Mean;
  Stuff: Mean;
  per_class: Record<string, { pq: number; sq: number; rq: number; tp: number; fp: number; fn: number; iou_sum: number }>;
  detectron2: Record<string, number>;
}

interface Entry {
  image_id: number;
  file_name: string;
  segments_info: PanopticSegment[];
}

/** Panoptic quality of the whole folder and of every image alone. */
export async function runPanoptic(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const truth = readJson<{ annotations: Entry[]; categories: PanopticCategory[] }>(folder, 'gt.json');
  const found = new Map(readJson<{ annotations: Entry[] }>(folder, 'pred.json').annotations.map((a) => [a.image_id, a]));
  const expected = readJson<{ dataset: Expected; per_image?: (Expected & { image_id: number })[] }>(folder, 'expected.json');
  const load = async (kind: string, { file_name, segments_info }: Entry) => {
    const pixels = await sharp(join(folder, kind, file_name))
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer();
    return { ids: panopticIds(pixels), segments: segments_info };
  };
  const total = new PanopticQuality(truth.categories);
  const perImage = new Map((expected.per_image ?? []).map((e) => [e.image_id, e]));
  for (const a of truth.annotations) {
    const other = found.get(a.image_id);
    if (!other) {
      add({ case: caseName, name: `image_${a.image_id}`, ok: false, note: 'pred.json has no such image' });
      continue;
    }
    const [t, p] = [await load('gt', a), await load('pred', other)];
    total.add(t, p, String(a.image_id));
    const single = new PanopticQuality(truth.categories);
    single.add(t, p, String(a.image_id));
    const golden = perImage.get(a.image_id);
    if (golden) compare(caseName, `image_${a.image_id}`, single.result(), golden, add);
  }
  compare(caseName, 'dataset', total.result(), expected.dataset, add);
}

function compare(caseName: string, name: string, ours: PanopticResult, golden: Expected, add: (line: Line) => void): void {
  const groups = [ours.all, ours.things, ours.stuff];
  const goldenGroups = [golden.All, golden.Things, golden.Stuff];
  const ids = Object.keys(golden.per_class);
  const classes = ids.map((id) => ours.perClass.get(Number(id)));
  const goldenClasses = ids.map((id) => golden.per_class[id]!);
  const check = (what: string, actual: unknown, wanted: unknown, abs: number): void =>
    add(compareValues({ case: caseName, name: `${name}/${what}` }, actual, wanted, { abs }));
  check(
    'counts',
    [groups.map((g) => g.n), classes.map((c) => [c?.tp, c?.fp, c?.fn])],
    [goldenGroups.map((g) => g.n), goldenClasses.map((c) => [c.tp, c.fp, c.fn])],
    0,
  );
  // A group without a counted class has no mean; the goldens write 0 or NaN for it.
  const counted = (_: unknown, i: number): boolean => goldenGroups[i]!.n > 0;
  const three = (q: Mean | undefined): unknown => [q?.pq, q?.sq, q?.rq];
  check('means', groups.filter(counted).map(three), goldenGroups.filter(counted).map(three), 1e-12);
  check(
    'classes',
    classes.map((c) => [c?.pq, c?.sq, c?.rq, c?.iouSum]),
    goldenClasses.map((c) => [c.pq, c.sq, c.rq, c.iou_sum]),
    1e-12,
  );
  check('percentages', ours.percentages, golden.detectron2, 1e-10);
}
