import { join } from 'node:path';
import type { CocoDataset } from '../../../src/data/coco/coco_types.js';
import {
  classHistogram,
  datasetRecords,
  loadCocoJson,
  withKeypoints,
  withoutCrowdOnly,
  type CocoRecords,
  type DatasetRecord,
} from '../../../src/data/coco/dataset_records.js';
import { recordsToCoco } from '../../../src/data/coco/write_coco.js';
import { compareValues, unsupported, type Line } from '../compare.js';
import { NOT_YET } from '../unsupported.js';
import { readJson } from './json_file.js';

interface Expected {
  image_root: string;
  dataset_dicts: DatasetRecord[];
  dataset_dicts_without_name: DatasetRecord[];
  dataset_dicts_extra_keys: { extra_annotation_keys: string[]; dataset_dicts: DatasetRecord[] };
  thing_classes: string[];
  thing_dataset_id_to_contiguous_id: [number, number][];
  filter_only_crowd_image_ids: number[];
  filter_few_keypoints_image_ids: Record<string, number[]>;
  class_histogram: { counts: number[] };
  log_messages: { load: string[] };
  errors: Record<string, string>;
  convert_to_coco: CocoDataset;
}

/** What each broken variant changes in a file that is right; by the name of the error. */
const BREAK: Record<string, (dataset: CocoDataset) => void> = {
  ignore_1: (d) => (d.annotations[0]!['ignore'] = 1),
  duplicate_annotation_ids: (d) => (d.annotations[1]!.id = d.annotations[0]!.id),
  unknown_category: (d) => (d.annotations[1]!.category_id = 1 + Math.max(...d.categories.map((c) => c.id))),
  empty_bbox: (d) => (d.annotations[0]!.bbox = []),
  missing_bbox: (d) => delete d.annotations[0]!.bbox,
};

/** `load_coco_json`, its filters, histogram and errors, and the way back to COCO. */
export async function runCocoJson(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const expected = readJson<Expected>(folder, 'expected.json');
  const path = join(folder, 'instances.json');
  const check = (name: string, actual: unknown, wanted: unknown): void =>
    add(compareValues({ case: caseName, name }, actual, wanted, { abs: 1e-9 }));
  const root = expected.image_root;
  const loaded = await loadCocoJson(path, root, { name: 'FILE' });
  check('dataset_dicts', loaded.records, expected.dataset_dicts);
  check('thing_classes', loaded.thingClasses, expected.thing_classes);
  check('thing_dataset_id_to_contiguous_id', [...loaded.categoryIds], expected.thing_dataset_id_to_contiguous_id);
  check('log_messages', loaded.messages, expected.log_messages.load);
  const unmapped = await loadCocoJson(path, root, { mapCategories: false });
  check('dataset_dicts_without_name', unmapped.records, expected.dataset_dicts_without_name);
  const extra = expected.dataset_dicts_extra_keys;
  const withExtra = await loadCocoJson(path, root, { mapCategories: false, extraKeys: extra.extra_annotation_keys });
  check('dataset_dicts_extra_keys', withExtra.records, extra.dataset_dicts);
  compareUses(loaded, expected, check);
  for (const [name, message] of Object.entries(expected.errors)) {
    const where = { case: caseName, name: `errors/${name}` };
    const change = BREAK[name];
    if (!change) {
      add(unsupported(caseName, where.name, NOT_YET));
      continue;
    }
    const dataset = readJson<CocoDataset>(folder, 'instances.json');
    // Only annotations of images in the file are looked at.
    const images = new Set(dataset.images.map((i) => i.id));
    dataset.annotations = dataset.annotations.filter((a) => images.has(a.image_id));
    change(dataset);
    let thrown = '';
    try {
      datasetRecords(dataset, root);
    } catch (error) {
      thrown = error instanceof Error ? error.message : String(error);
    }
    add({
      ...where,
      ok: (thrown === '') === (message === 'ok'),
      tolerance: message === 'ok' ? 'no error' : 'an error',
      note: thrown || 'no error',
    });
  }
}

function compareUses(
  loaded: CocoRecords,
  expected: Expected,
  check: (name: string, actual: unknown, wanted: unknown) => void,
): void {
  const ids = (records: DatasetRecord[]): number[] => records.map((r) => r.image_id);
  check('filter_only_crowd_image_ids', ids(withoutCrowdOnly(loaded.records)), expected.filter_only_crowd_image_ids);
  for (const [minimum, wanted] of Object.entries(expected.filter_few_keypoints_image_ids))
    check(`filter_few_keypoints_image_ids/${minimum}`, ids(withKeypoints(loaded.records, Number(minimum))), wanted);
  const classes = loaded.thingClasses.length;
  check('class_histogram', classHistogram(loaded.records, classes), expected.class_histogram.counts);
  check('convert_to_coco', recordsToCoco(loaded), expected.convert_to_coco);
}
