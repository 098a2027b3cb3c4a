import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { firstImages } from '../data/coco/first_images.js';
import { findsProposals } from '../engine/box_proposals.js';
import { batchesOf, type BatchPredictor, predictImages } from '../engine/predict_dataset.js';
import { DatasetError } from '../errors.js';
import { fingerprint, modelFingerprint } from './fingerprint.js';
import { joinParts, listed } from './join_parts.js';
import { PartWriter } from './part_file.js';
import type { PartLockOptions } from './part_lock.js';
import type { Shard } from './shard.js';
import type { Prediction } from '../structures/prediction.js';

/** What a part says of a model that finds regions of no class. */
const PROPOSALS = 'proposals';

/** What one image of a part gave. */
export interface EvaluatedImage<P> {
  readonly results: CocoResult[];
  /** What its pixels were found to have, where they are judged. */
  readonly pixels?: P;
}

/** How the pixels of a shard's pictures are judged. */
export interface ShardPixels<P> {
  /** Goes into the part's header, for `merge`. */
  readonly classes: unknown;
  judge(image: CocoDataset['images'][number], prediction: Prediction): Promise<P>;
}

export interface EvaluationPartOptions<P = never> {
  /** Shared by all shards. */
  readonly folder: string;
  readonly shard: Shard;
  readonly batchSize: number;
  /** Only the first images, by ascending id. */
  readonly limit?: number;
  /** Whether objects are judged; without them there are pixels. */
  readonly objects?: boolean;
  readonly pixels?: ShardPixels<P>;
  /** Of the lock of the part. */
  readonly lock?: PartLockOptions;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Predicts on a shard's images of a data set and appends each to the shard's part. Images that are there already are left alone, so an
 * interrupted run goes on where it was.
 * @returns where the part is, how many images it holds, and how many of them earlier runs had done
 * @throws DatasetError where the folder holds parts of another model, data set or setting
 */
export async function writeEvaluationPart<P = never>(
  predictor: BatchPredictor & Parameters<typeof modelFingerprint>[0],
  dataset: CocoDataset,
  images: string,
  { folder, shard, batchSize, limit, objects = true, pixels, lock, onProgress }: EvaluationPartOptions<P>,
): Promise<{ path: string; images: number; before: number }> {
  const chosen = firstImages(dataset, limit);
  const about = {
    command: 'evaluate' as const,
    images: chosen.images.length,
    same: {
      'data set': dataFingerprint(chosen),
      ...(await modelFingerprint(predictor)),
      'batch size': batchSize,
      'keypoint sigmas': JSON.stringify(predictor.config.TEST.KEYPOINT_OKS_SIGMAS),
      objects: objects ? 'judged' : 'not judged',
      'classes of pixels': pixels ? JSON.stringify(pixels.classes) : '',
      ...(findsProposals(predictor.config) ? { finds: PROPOSALS } : {}),
    },
  };
  const part = await PartWriter.open<EvaluatedImage<P>>(folder, shard, about, lock);
  try {
    const done = new Set(part.records.keys());
    const judged = new Map<number, P>();
    const onPrediction = async (image: CocoDataset['images'][number], prediction: Prediction): Promise<void> => {
      if (pixels) judged.set(image.id, await pixels.judge(image, prediction));
    };
    const options = { batchSize, shard, done, onPrediction, ...(onProgress ? { onProgress } : {}) };
    for await (const { imageId, results } of predictImages(predictor, chosen, images, options)) {
      await part.append(imageId, { results, ...(pixels ? { pixels: judged.get(imageId)! } : {}) });
      judged.delete(imageId);
    }
    return { path: part.path, images: batchesOf(chosen.images, batchSize, shard).flat().length, before: done.size };
  } finally {
    await part.close();
  }
}

/** The parts of all shards as one. */
export interface JoinedEvaluation<P> {
  /** Undefined where no annotation file was given, or the model finds no objects. */
  readonly dataset: CocoDataset | undefined;
  /** By ascending image id. */
  readonly results: CocoResult[];
  /** Whether they are regions of no class. */
  readonly proposals: boolean;
  readonly keypointSigmas: readonly number[];
  /** By ascending image id, where pixels were judged. */
  readonly pixels?: { readonly classes: unknown; readonly pictures: P[] };
  readonly shards: number;
}

/**
 * The parts of all shards as one: what one run without shards finds, in its order.
 * @param dataset what objects are compared with; needs not be given where pixels alone are judged
 * @throws DatasetError that names the parts or images that are missing, or what the parts differ in
 */
export async function joinEvaluationParts<P>(folder: string, dataset: CocoDataset | undefined): Promise<JoinedEvaluation<P>> {
  const { about, shards, records } = await joinParts<EvaluatedImage<P>>(folder);
  if (about.command !== 'evaluate')
    throw new DatasetError(`The parts in ${folder} are of maskrcnn ${about.command}: merge them without --json-file.`);
  const classes = about.same['classes of pixels'] as string;
  if (!dataset && classes === '')
    throw new DatasetError(`The parts in ${folder} are of maskrcnn evaluate: give its annotation file with --json-file.`);
  const chosen = dataset && dataset.images.length !== about.images ? firstImages(dataset, about.images) : dataset;
  if (chosen && dataFingerprint(chosen) !== about.same['data set'])
    throw new DatasetError(
      `The parts in ${folder} are of another annotation file: its images or categories differ. Give the one that the shards had.`,
    );
  const ids = (chosen ? chosen.images.map(({ id }) => id) : [...records.keys()]).sort((a, b) => a - b);
  const missing = ids.filter((id) => !records.has(id));
  if (missing.length > 0)
    throw new DatasetError(
      `${folder} lacks ${missing.length} of ${ids.length} images (image_id ${listed(missing)}): run the shards that were interrupted again.`,
    );
  if (ids.length !== about.images)
    throw new DatasetError(`${folder} has ${ids.length} of ${about.images} images: run the shards that were interrupted again.`);
  const values = ids.map((id) => records.get(id)!);
  return {
    dataset: about.same.objects === 'judged' ? chosen : undefined,
    results: values.flatMap(({ results }) => results),
    proposals: about.same.finds === PROPOSALS,
    keypointSigmas: JSON.parse(about.same['keypoint sigmas'] as string) as number[],
    ...(classes === ''
      ? {}
      : { pixels: { classes: JSON.parse(classes) as unknown, pictures: values.map(({ pixels }) => pixels!) } }),
    shards,
  };
}

/** Of what predictions depend on; annotations may be corrected in between. */
function dataFingerprint({ images, categories }: CocoDataset): string {
  return fingerprint([
    images.map(({ id, file_name, height, width }) => [id, file_name, height, width]).sort((a, b) => Number(a[0]) - Number(b[0])),
    categories.map(({ id, name }) => [id, name]).sort((a, b) => Number(a[0]) - Number(b[0])),
  ]);
}
