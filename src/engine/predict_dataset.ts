import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { DatasetError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import { ownsBatch, type Shard } from '../sharding/shard.js';
import type { Prediction } from '../structures/prediction.js';
import { findsProposals, PROPOSAL_CATEGORY } from './box_proposals.js';

/** What predicts: a `Predictor`, or a model in training. */
export interface BatchPredictor {
  /** By class index. */
  readonly classNames: readonly string[];
  /** The model's; where it finds regions of no class, rows get `PROPOSAL_CATEGORY`, whatever the categories of the data set. */
  readonly config?: Pick<Config, 'MODEL'>;
  predict(files: readonly string[], options?: { signal?: AbortSignal }): Promise<Prediction[]>;
}

export interface PredictDatasetOptions {
  /** Pictures that are computed together; 1, as Detectron2 evaluates, unless given: padding to a common size changes numbers a little. */
  readonly batchSize?: number;
  /** Called after every batch. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops between batches. */
  readonly signal?: AbortSignal;
  /** Only the batches of this shard: the shards together do what one run without does, in the same batches, so that no number differs. */
  readonly shard?: Shard;
  /** Sees every prediction whole, with its image, before the next batch. */
  readonly onPrediction?: (image: CocoDataset['images'][number], prediction: Prediction) => unknown;
  /** Ids of images that need no prediction any more. */
  readonly done?: ReadonlySet<number>;
}

/** What one picture of a data set gave. */
export interface ImageResults {
  readonly imageId: number;
  readonly results: CocoResult[];
}

/**
 * Predicts on all pictures of a data set.
 * @param images the folder that the data set's file names are relative to
 * @returns COCO results with the data set's image and category ids, by ascending image id
 * @throws DatasetError where classes do not fit the categories, or a picture is not of the size that the data set says; ImageError
 */
export async function predictDataset(
  predictor: BatchPredictor,
  dataset: Pick<CocoDataset, 'images' | 'categories'>,
  images: string,
  options: PredictDatasetOptions = {},
): Promise<CocoResult[]> {
  const results: CocoResult[] = [];
  for await (const image of predictImages(predictor, dataset, images, options)) results.push(...image.results);
  return results;
}

/** {@link predictDataset}, one image after the other as they get done. */
export async function* predictImages(
  predictor: BatchPredictor,
  dataset: Pick<CocoDataset, 'images' | 'categories'>,
  images: string,
  { batchSize: size = 1, onProgress, onPrediction, signal, shard, done: before }: PredictDatasetOptions = {},
): AsyncGenerator<ImageResults> {
  const categoryIds =
    predictor.config && findsProposals(predictor.config)
      ? [PROPOSAL_CATEGORY]
      : categoriesOfClasses(predictor.classNames, dataset.categories);
  const batches = batchesOf(dataset.images, size, shard);
  const total = batches.reduce((sum, batch) => sum + batch.length, 0);
  let done = 0;
  for (const batch of batches) {
    signal?.throwIfAborted();
    done += batch.length;
    // A batch that was interrupted is computed whole again: padding, and with it the last digits, depends on its company.
    if (batch.every(({ id }) => before?.has(id))) continue;
    const files = batch.map(({ file_name }) => join(images, file_name));
    const predictions = await predictor.predict(files, signal ? { signal } : {});
    for (const [i, prediction] of predictions.entries()) {
      const { id, height, width } = batch[i];
      if (prediction.height !== height || prediction.width !== width) {
        throw new DatasetError(
          `${files[i]} is ${prediction.width}x${prediction.height} pixels, the annotation file says ${width}x${height} (image ${id}); correct one of them.`,
        );
      }
      if (before?.has(id)) continue;
      await onPrediction?.(batch[i], prediction);
      const known = prediction.filter(({ classIndex }) => categoryIds[classIndex] !== undefined);
      const rows = known.toCoco({ imageId: id, categoryIds: categoryIds as number[] });
      yield { imageId: id, results: rows.map((row) => ({ ...row })) };
    }
    onProgress?.(done, total);
  }
}

/** The images by ascending id, in batches; of a shard only its own. */
export function batchesOf<T extends { readonly id: number }>(images: readonly T[], size: number, shard?: Shard): T[][] {
  const all = [...images].sort((a, b) => a.id - b.id);
  const batches = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
  return shard ? batches.filter((_, i) => ownsBatch(shard, i)) : batches;
}

/**
 * The category id of each class index: by ascending id where there are as many categories as classes (Detectron2's rule), else by name; a
 * class that the data set lacks has none.
 * @throws DatasetError for a category that is no class of the model
 */
export function categoriesOfClasses(
  classNames: readonly string[],
  categories: CocoDataset['categories'],
): (number | undefined)[] {
  // A semantic model finds no objects, whatever the data set has.
  if (classNames.length === 0) return [];
  const sorted = [...categories].sort((a, b) => a.id - b.id);
  const byName = new Map(sorted.map(({ name, id }) => [name, id]));
  const unknown = sorted.find(({ name }) => !classNames.includes(name));
  if (!unknown) return classNames.map((name) => byName.get(name));
  if (sorted.length === classNames.length) return sorted.map(({ id }) => id);
  throw new DatasetError(
    `The data set has ${sorted.length} categories, the model ${classNames.length} classes, and category '${unknown.name}' is none of them ` +
      `(nearest: ${nearestNames(unknown.name, classNames).join(', ')}). Evaluate with the annotation file of the data set that the model was trained on.`,
  );
}
