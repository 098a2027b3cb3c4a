/** Annotations sorted into groups of one image and one category (or one image, without categories); entries are numbers into the caller's list. */
export interface AnnotationGroups {
  /** Sorted by category, then image, then file order (without categories: image, category, file order). */
  order: Int32Array;
  /** Image number (into `imageIds`) of each entry of `order`. */
  image: Int32Array;
  /** K + 1 positions into `order`. */
  categoryStart: Int32Array;
}

/**
 * Groups annotations by category and image with counting sorts, dropping those whose image or category is not asked for.
 *
 * @param imageIds ascending
 * @param categoryIds ascending
 */
export function groupAnnotations(
  annotations: readonly { image_id: number; category_id: number }[],
  imageIds: readonly number[],
  categoryIds: readonly number[],
  useCategories: boolean,
): AnnotationGroups {
  const imageIndex = new Map(imageIds.map((id, i) => [id, i]));
  const categoryIndex = new Map(categoryIds.map((id, i) => [id, i]));
  const images = new Int32Array(annotations.length);
  const categories = new Int32Array(annotations.length);
  const kept = new Int32Array(annotations.length);
  let n = 0;
  for (let i = 0; i < annotations.length; i++) {
    const image = imageIndex.get(annotations[i]!.image_id);
    const category = categoryIndex.get(annotations[i]!.category_id);
    if (image === undefined || category === undefined) continue;
    images[i] = image;
    categories[i] = category;
    kept[n++] = i;
  }
  let order = kept.slice(0, n);
  if (useCategories) {
    order = countingSort(order, images, imageIds.length);
    order = countingSort(order, categories, categoryIds.length);
  } else {
    order = countingSort(order, categories, categoryIds.length);
    order = countingSort(order, images, imageIds.length);
  }
  const categoryStart = new Int32Array(useCategories ? categoryIds.length + 1 : 2);
  for (let i = 0; i < n; i++) categoryStart[(useCategories ? categories[order[i]!]! : 0) + 1]!++;
  for (let k = 1; k < categoryStart.length; k++) categoryStart[k]! += categoryStart[k - 1]!;
  return { order, image: order.map((i) => images[i]!), categoryStart };
}

/** Calls `visit` for every image of category `k` that has annotations in either list, by ascending image, with the ranges in their orders. */
export function forEachImage(
  a: AnnotationGroups,
  b: AnnotationGroups,
  k: number,
  visit: (image: number, fromA: number, toA: number, fromB: number, toB: number) => void,
): void {
  let i = a.categoryStart[k]!;
  let j = b.categoryStart[k]!;
  const endA = a.categoryStart[k + 1]!;
  const endB = b.categoryStart[k + 1]!;
  while (i < endA || j < endB) {
    const image = Math.min(i < endA ? a.image[i]! : Infinity, j < endB ? b.image[j]! : Infinity);
    const fromA = i;
    const fromB = j;
    while (i < endA && a.image[i] === image) i++;
    while (j < endB && b.image[j] === image) j++;
    visit(image, fromA, i, fromB, j);
  }
}

function countingSort(order: Int32Array<ArrayBuffer>, keys: Int32Array, count: number): Int32Array<ArrayBuffer> {
  const next = new Int32Array(count + 1);
  for (const i of order) next[keys[i]! + 1]!++;
  for (let k = 0; k < count; k++) next[k + 1]! += next[k]!;
  const out = new Int32Array(order.length);
  for (const i of order) out[next[keys[i]!]!++] = i;
  return out;
}
