import type { CocoDataset } from './coco_types.js';

/** The data set's first images by ascending id, with what is on them; all where there is no limit. */
export function firstImages(dataset: CocoDataset, limit: number | undefined): CocoDataset {
  if (limit === undefined) return dataset;
  const images = [...dataset.images].sort((a, b) => a.id - b.id).slice(0, limit);
  const ids = new Set(images.map(({ id }) => id));
  return { ...dataset, images, annotations: dataset.annotations.filter(({ image_id }) => ids.has(image_id)) };
}
