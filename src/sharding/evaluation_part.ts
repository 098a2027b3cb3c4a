import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { firstImages } from '../data/coco/first_images.js';
import { findsProposals } from '../engine/box_proposals.js';
import { batchesOf, type BatchPredictor, predictImages } from '../engine/predict_dataset.js';
import { DatasetError } from '../errors.js';
import { fingerprint, modelFingerprint } from './fingerprint.js';
import { joinParts, listed } from './join_parts.js';
import { PartWriter } from './part_file.js';
import type { Shard } from './shard.js';

/** What a part says of a model that finds regions of no class. */
const PROPOSALS = 'proposals';

export interface EvaluationPartOptions {
  /** Shared by all shards. */
  readonly folder: string;
  readonly shard: Shard;
  readonly batchSize: number;
  /** Only the first images, by ascending id. */
  readonly limit?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Predicts on a shard's images of a data set and appends each to the shard's part. Images that are there already are left alone, so an
 * interrupted run goes on where it was.
 * @returns where the part is, how many images it holds, and how many of them earlier runs had done
 * @throws DatasetError where the folder holds parts of another model, data set or setting
 */
export async function writeEvaluationPart(
  predictor: BatchPredictor & Parameters<typeof modelFingerprint>[0],
  dataset: CocoDataset,
  images: string,
  { folder, shard, batchSize, limit, onProgress }: EvaluationPartOptions,
): Promise<{ path: string; images: number; before: number }> {
  const chosen = firstImages(dataset, limit);
  const part = await PartWriter.open<CocoResult[]>(folder, shard, {
    command: 'evaluate',
    images: chosen.images.length,
    same: {
      'data set': dataFingerprint(chosen),
      ...(await modelFingerprint(predictor)),
      'batch size': batchSize,
      ...(findsProposals(predictor.config) ? { finds: PROPOSALS } : {}),
    },
  });
  try {
    const done = new Set(part.records.keys());
    const options = { batchSize, shard, done, ...(onProgress ? { onProgress } : {}) };
    for await (const { imageId, results } of predictImages(predictor, chosen, images, options))
      await part.append(imageId, results);
    return { path: part.path, images: batchesOf(chosen.images, batchSize, shard).flat().length, before: done.size };
  } finally {
    await part.close();
  }
}

/**
 * The parts of all shards as one: what one run without shards finds, in its order.
 * @throws DatasetError that names the parts or images that are missing, or what the parts differ in
 */
export async function joinEvaluationParts(
  folder: string,
  dataset: CocoDataset,
): Promise<{ dataset: CocoDataset; results: CocoResult[]; proposals: boolean; shards: number }> {
  const { about, shards, records } = await joinParts<CocoResult[]>(folder);
  if (about.command !== 'evaluate')
    throw new DatasetError(`The parts in ${folder} are of maskrcnn ${about.command}: merge them without --json-file.`);
  const chosen = about.images === dataset.images.length ? dataset : firstImages(dataset, about.images);
  if (dataFingerprint(chosen) !== about.same['data set'])
    throw new DatasetError(
      `The parts in ${folder} are of another annotation file: its images or categories differ. Give the one that the shards had.`,
    );
  const ids = chosen.images.map(({ id }) => id).sort((a, b) => a - b);
  const missing = ids.filter((id) => !records.has(id));
  if (missing.length > 0)
    throw new DatasetError(
      `${folder} lacks ${missing.length} of ${ids.length} images (image_id ${listed(missing)}): run the shards that were interrupted again.`,
    );
  const proposals = about.same['finds'] === PROPOSALS;
  return { dataset: chosen, results: ids.flatMap((id) => records.get(id)!), proposals, shards };
}

/** Of what predictions depend on; annotations may be corrected in between. */
function dataFingerprint({ images, categories }: CocoDataset): string {
  return fingerprint([
    images.map(({ id, file_name, height, width }) => [id, file_name, height, width]).sort((a, b) => Number(a[0]) - Number(b[0])),
    categories.map(({ id, name }) => [id, name]).sort((a, b) => Number(a[0]) - Number(b[0])),
  ]);
}
