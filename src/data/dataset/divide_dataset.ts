import { ArgumentError, DatasetError } from '../../errors.js';
import type { CocoAnnotation, CocoCategory, CocoDataset, CocoImage } from '../coco/coco_types.js';
import type { Random } from '../random.js';

/**
 * Divides a data set by images into parts of the given shares, so that every class is spread as evenly as its images allow (iterative
 * stratification, Sechidis et al. 2011): the rarest class first, each of its images to the part that lacks it most. Every image is in one part, every
 * part has all categories; the same generator state gives the same division.
 *
 * @param shares one per part, above 0; taken relative to their sum
 */
export function splitDataset(dataset: CocoDataset, shares: readonly number[], random: Random): CocoDataset[] {
  if (shares.length < 2 || !shares.every((s) => Number.isFinite(s) && s > 0))
    throw new ArgumentError(`A split needs two or more shares above 0, not [${shares.join(', ')}].`);
  const total = shares.reduce((a, b) => a + b, 0);
  const order = random.permutation(dataset.images.length);
  const images = Array.from(order, (i) => dataset.images[i]!);
  const classesOf = new Map(images.map((i) => [i.id, new Map<number, number>()]));
  const left = new Map<number, number>();
  for (const a of dataset.annotations) {
    const own = classesOf.get(a.image_id);
    if (!own) continue;
    own.set(a.category_id, (own.get(a.category_id) ?? 0) + 1);
    left.set(a.category_id, (left.get(a.category_id) ?? 0) + 1);
  }
  const wantedImages = shares.map((s) => (s / total) * images.length);
  const wanted = shares.map((s) => new Map([...left].map(([id, n]) => [id, (s / total) * n])));
  const partOf = new Map<number, number>();
  const assign = (image: CocoImage, part: number): void => {
    partOf.set(image.id, part);
    wantedImages[part]!--;
    for (const [id, n] of classesOf.get(image.id)!) {
      wanted[part]!.set(id, wanted[part]!.get(id)! - n);
      left.set(id, left.get(id)! - n);
    }
  };
  for (;;) {
    let rarest: number | undefined;
    for (const [id, n] of left) if (n > 0 && (rarest === undefined || n < left.get(rarest)!)) rarest = id;
    if (rarest === undefined) break;
    for (const image of images) {
      if (partOf.has(image.id) || !classesOf.get(image.id)!.has(rarest)) continue;
      assign(
        image,
        mostWanting(shares.length, (p) => [wanted[p]!.get(rarest)!, wantedImages[p]!]),
      );
    }
  }
  for (const image of images)
    if (!partOf.has(image.id))
      assign(
        image,
        mostWanting(shares.length, (p) => [wantedImages[p]!, 0]),
      );
  return shares.map((_, part) => ({
    ...dataset,
    images: dataset.images.filter((i) => partOf.get(i.id) === part),
    annotations: dataset.annotations.filter((a) => partOf.get(a.image_id) === part),
  }));
}

function mostWanting(parts: number, key: (part: number) => [number, number]): number {
  let best = 0;
  for (let p = 1; p < parts; p++) {
    const [a, b] = [key(p), key(best)];
    if (a[0] > b[0] || (a[0] === b[0] && a[1] > b[1])) best = p;
  }
  return best;
}

/**
 * Joins data sets. Categories are joined by name (the first data set's ids and members win); images and annotations get ids of their own from 1.
 *
 * @param prefixes put before the file names of each data set, where the pictures lie in several folders
 * @throws DatasetError when an annotation's image or category is not there
 */
export function mergeDatasets(datasets: readonly CocoDataset[], prefixes: readonly string[] = []): CocoDataset {
  const categories: CocoCategory[] = [];
  const byName = new Map<string, number>();
  const images: CocoImage[] = [];
  const annotations: CocoAnnotation[] = [];
  datasets.forEach((dataset, n) => {
    const categoryIds = new Map<number, number>();
    for (const c of dataset.categories) {
      let id = byName.get(c.name);
      if (id === undefined) {
        const taken = new Set(categories.map((k) => k.id));
        id = taken.has(c.id) ? Math.max(...taken) + 1 : c.id;
        byName.set(c.name, id);
        categories.push({ ...c, id });
      }
      categoryIds.set(c.id, id);
    }
    const imageIds = new Map<number, number>();
    for (const i of dataset.images) {
      imageIds.set(i.id, images.length + 1);
      images.push({ ...i, id: images.length + 1, file_name: `${prefixes[n] ?? ''}${i.file_name}` });
    }
    for (const a of dataset.annotations) {
      const image = imageIds.get(a.image_id);
      const category = categoryIds.get(a.category_id);
      if (image === undefined || category === undefined)
        throw new DatasetError(
          `Data set ${n + 1}: annotation ${a.id} is for ${image === undefined ? `image ${a.image_id}` : `category ${a.category_id}`}, which is not there; run "maskrcnn dataset check --fix" first.`,
        );
      annotations.push({ ...a, id: annotations.length + 1, image_id: image, category_id: category });
    }
  });
  return { info: datasets[0]?.info ?? {}, licenses: datasets[0]?.licenses ?? [], images, categories, annotations };
}

/** What {@link remapCategories} does to one class. */
export interface CategoryMapping {
  from: string;
  /** The new name; several classes may share one, which joins them. `null` drops the class with its annotations. */
  to: string | null;
}

/**
 * Renames, joins and drops classes; ids become 1 ... in the order of their first appearance unless `keepIds`. Images stay, also when they lose all
 * their objects.
 *
 * @throws DatasetError for a class that is not there
 */
export function remapCategories(dataset: CocoDataset, mapping: readonly CategoryMapping[], keepIds = false): CocoDataset {
  const names = new Set(dataset.categories.map((c) => c.name));
  for (const { from } of mapping)
    if (!names.has(from)) throw new DatasetError(`There is no class "${from}"; the classes are ${[...names].join(', ')}.`);
  const rules = new Map(mapping.map((m) => [m.from, m.to]));
  const categories: CocoCategory[] = [];
  const newIds = new Map<number, number>();
  for (const c of dataset.categories) {
    const name = rules.has(c.name) ? rules.get(c.name)! : c.name;
    if (name === null) continue;
    let same = categories.find((k) => k.name === name);
    if (!same) categories.push((same = { ...c, name, id: keepIds ? c.id : categories.length + 1 }));
    newIds.set(c.id, same.id);
  }
  const annotations = dataset.annotations
    .filter((a) => newIds.has(a.category_id))
    .map((a) => ({ ...a, category_id: newIds.get(a.category_id)! }));
  return { ...dataset, categories, annotations };
}
