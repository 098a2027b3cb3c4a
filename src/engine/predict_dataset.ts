import { join } from 'node:path';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { DatasetError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import type { Prediction } from '../structures/prediction.js';

/** What predicts: a `Predictor`, or a model in training. */
export interface BatchPredictor {
  /** By class index. */
  readonly classNames: readonly string[];
  predict(files: readonly string[], options?: { signal?: AbortSignal }): Promise<Prediction[]>;
}

export interface PredictDatasetOptions {
  /** Pictures that are computed together; 1, as Detectron2 evaluates, unless given: padding to a common size changes numbers a little. */
  readonly batchSize?: number;
  /** Called after every batch. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops between batches. */
  readonly signal?: AbortSignal;
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
  const categoryIds = categoriesOfClasses(predictor.classNames, dataset.categories);
  const all = [...dataset.images].sort((a, b) => a.id - b.id);
  const size = options.batchSize ?? 1;
  const results: CocoResult[] = [];
  for (let first = 0; first < all.length; first += size) {
    options.signal?.throwIfAborted();
    const batch = all.slice(first, first + size);
    const files = batch.map(({ file_name }) => join(images, file_name));
    const predictions = await predictor.predict(files, options.signal ? { signal: options.signal } : {});
    predictions.forEach((prediction, i) => {
      const { id, height, width } = batch[i];
      if (prediction.height !== height || prediction.width !== width) {
        throw new DatasetError(
          `${files[i]} is ${prediction.width}x${prediction.height} pixels, the annotation file says ${width}x${height} (image ${id}); correct one of them.`,
        );
      }
      const known = prediction.filter(({ classIndex }) => categoryIds[classIndex] !== undefined);
      results.push(...known.toCoco({ imageId: id, categoryIds: categoryIds as number[] }).map((row) => ({ ...row })));
    });
    options.onProgress?.(Math.min(first + size, all.length), all.length);
  }
  return results;
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
