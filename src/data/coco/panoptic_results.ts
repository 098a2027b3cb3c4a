import type { PanopticMap } from '../../semantic/combine_panoptic.js';
import type { PanopticAnnotation, PanopticDataset, PanopticSegmentInfo } from './read_panoptic.js';

/** The category ids of a panoptic data set by the class numbers of a model. */
export interface PanopticCategoryIds {
  /** By thing class; undefined for a class that the data set lacks. */
  readonly things: readonly (number | undefined)[];
  /** By semantic class; class 0 is all things and has none. */
  readonly stuff: readonly (number | undefined)[];
}

/**
 * Categories for predictions without a data set: things from 1 by class, then stuff by class, as `class index + 1` numbers the instances.
 * @param classNames of the things
 * @param semanticClassNames the first is "a thing" and gets no category
 */
export function panopticCategories(
  classNames: readonly string[],
  semanticClassNames: readonly string[],
): { categories: PanopticDataset['categories']; ids: PanopticCategoryIds } {
  const category = (name: string, i: number, isthing: number) => ({ id: i + 1, name, isthing });
  const things = classNames.map((name, i) => category(name, i, 1));
  const stuff = semanticClassNames.slice(1).map((name, i) => category(name, things.length + i, 0));
  return {
    categories: [...things, ...stuff],
    ids: { things: things.map(({ id }) => id), stuff: [undefined, ...stuff.map(({ id }) => id)] },
  };
}

/**
 * A panoptic map as COCO's format has it; the pixels are given beside it, for `encodePanopticPng`. Segments of classes without a category are void.
 * @param fileName of the PNG, relative to the folder of panoptic PNGs
 */
export function panopticAnnotation(
  { ids, width, segments }: PanopticMap,
  imageId: number,
  fileName: string,
  categoryIds: PanopticCategoryIds,
): { annotation: PanopticAnnotation; pixels: Uint32Array } {
  const pixels = new Uint32Array(ids);
  const boxes = boundingBoxes(ids, width);
  const infos: PanopticSegmentInfo[] = [];
  const dropped = new Set<number>();
  for (const { id, isThing, categoryId, area, score } of segments) {
    const category = categoryIds[isThing ? 'things' : 'stuff'][categoryId];
    if (category === undefined) dropped.add(id);
    else {
      const info = {
        id,
        category_id: category,
        area,
        bbox: boxes.get(id)!,
        iscrowd: 0,
        ...(score === undefined ? {} : { score }),
      };
      infos.push(info);
    }
  }
  if (dropped.size > 0) for (let i = 0; i < pixels.length; i++) if (dropped.has(pixels[i]!)) pixels[i] = 0;
  return { annotation: { image_id: imageId, file_name: fileName, segments_info: infos }, pixels };
}

/** (x, y, width, height) in whole pixels of every id in a map. */
function boundingBoxes(ids: Int32Array, width: number): Map<number, [number, number, number, number]> {
  const corners = new Map<number, [number, number, number, number]>();
  for (let i = 0; i < ids.length; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    const box = corners.get(ids[i]!);
    if (!box) corners.set(ids[i]!, [x, y, x + 1, y + 1]);
    else {
      if (x < box[0]) box[0] = x;
      if (x >= box[2]) box[2] = x + 1;
      if (y >= box[3]) box[3] = y + 1;
    }
  }
  return new Map([...corners].map(([id, [x0, y0, x1, y1]]) => [id, [x0, y0, x1 - x0, y1 - y0]]));
}
