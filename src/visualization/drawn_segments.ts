import type { Instance, PixelResults } from '../structures/detected_instances.js';
import type { MaskCrop } from './contours.js';
import type { DrawnInstance } from './scene.js';

/** Added to the number of a semantic class, so that stuff has other colours than things. */
const STUFF_COLORS = 1000;
/** Pixels that a semantic region has at least to be drawn, of 10,000 (Detectron2's visualizer leaves the smallest out too). */
const SMALLEST_SHARE = 4;

/** What is to be drawn of instances alone. */
export function drawnInstances(instances: readonly Instance[]): DrawnInstance[] {
  return instances.map(({ box, score, className, classIndex, mask, keypoints }) => ({
    box,
    score,
    className,
    classIndex,
    ...(mask ? { bitmap: mask.crop() } : {}),
    ...(keypoints ? { keypoints } : {}),
  }));
}

/**
 * What is to be drawn of a prediction: the segments of a panoptic map, things with the part of their mask that is theirs; without one, the regions of a
 * semantic map and the instances. Of the things only those that are among `instances`.
 */
export function drawnSegments(instances: readonly Instance[], pixels: PixelResults): DrawnInstance[] {
  const { panoptic, semantic, semanticClassNames = [], things = [] } = pixels;
  const stuff = (label: number, bitmap: MaskCrop): DrawnInstance => ({
    box: [bitmap.x0, bitmap.y0, bitmap.x1, bitmap.y1],
    className: semanticClassNames[label] ?? `stuff ${label}`,
    classIndex: STUFF_COLORS + label,
    bitmap,
    isStuff: true,
  });
  if (!panoptic) {
    if (!semantic) return drawnInstances(instances);
    const { labels, height, width } = semantic;
    const regions = [...cropsOf(labels, height, width)].filter(([, { area }]) => area * 10000 >= labels.length * SMALLEST_SHARE);
    return [...regions.map(([label, { crop }]) => stuff(label, crop())), ...drawnInstances(instances)];
  }
  const shown = new Set(instances);
  const crops = cropsOf(panoptic.ids, panoptic.height, panoptic.width);
  return panoptic.segments.flatMap((segment): DrawnInstance[] => {
    const bitmap = crops.get(segment.id)?.crop;
    if (!bitmap) return [];
    if (!segment.isThing) return [stuff(segment.categoryId, bitmap())];
    const thing = things[segment.instanceIndex!];
    return shown.has(thing) ? [{ ...drawnInstances([thing])[0], bitmap: bitmap() }] : [];
  });
}

interface Region {
  area: number;
  crop(): MaskCrop;
}

/** The pixels of every value of a map, in its bounding box. */
function cropsOf(values: Int32Array, height: number, width: number): Map<number, Region> {
  const found = new Map<number, { area: number; x0: number; y0: number; x1: number; y1: number }>();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const value = values[y * width + x];
      const region = found.get(value);
      if (!region) found.set(value, { area: 1, x0: x, y0: y, x1: x + 1, y1: y + 1 });
      else {
        region.area++;
        if (x < region.x0) region.x0 = x;
        if (x >= region.x1) region.x1 = x + 1;
        region.y1 = y + 1;
      }
    }
  }
  return new Map(
    [...found].map(([value, { area, ...box }]) => {
      const crop = (): MaskCrop => {
        const bitmap = new Uint8Array((box.x1 - box.x0) * (box.y1 - box.y0));
        for (let y = box.y0, at = 0; y < box.y1; y++)
          for (let x = box.x0; x < box.x1; x++) bitmap[at++] = Number(values[y * width + x] === value);
        return { ...box, bitmap };
      };
      return [value, { area, crop }];
    }),
  );
}
