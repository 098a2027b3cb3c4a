import type { CocoDataset } from '../coco/coco_types.js';
import { resizeShortestEdgeShape } from '../resize/resize.js';
import { anchorCoverage, suggestAnchors, type AnchorCoverage } from './anchor_advice.js';

/** Counts by bin; bin i reaches from `edges[i]` up to `edges[i + 1]`, the last one without end. */
export interface Histogram {
  edges: number[];
  counts: number[];
}

/** How pictures are resized and which anchors a model has; the defaults are Detectron2's for Mask R-CNN with FPN. */
export interface StatsOptions {
  /** Shortest side of the input, pixels. */
  minSize?: number;
  /** Longest side of the input, pixels. */
  maxSize?: number;
  /** Anchor sizes, pixels of the input. */
  anchorSizes?: readonly number[];
  /** Height to width. */
  aspectRatios?: readonly number[];
}

/** What {@link datasetStats} returns. */
export interface DatasetStats {
  images: number;
  /** Crowds excluded, as everywhere below. */
  objects: number;
  crowds: number;
  imagesWithoutObjects: number;
  classes: { id: number; name: string; objects: number; images: number }[];
  /** Objects in an image. */
  objectsPerImage: Histogram;
  /** Square root of width x height, pixels of the image. */
  sizes: Histogram;
  /** The same in the resized input that a model sees. */
  inputSizes: Histogram;
  /** Height to width of boxes. */
  aspectRatios: Histogram;
  /** COCO's classes by mask area: below 32^2, below 96^2, the rest. */
  small: number;
  medium: number;
  large: number;
  imageSizes: { width: [least: number, median: number, most: number]; height: [least: number, median: number, most: number] };
  anchors: AnchorCoverage;
  /** Anchors that fit the boxes better, with their coverage. */
  suggestedAnchors: AnchorCoverage;
  /** What to change, in words; empty when nothing stands out. */
  advice: string[];
}

/** Describes a data set, and says which anchors and input size fit it. */
export function datasetStats(dataset: CocoDataset, options: StatsOptions = {}): DatasetStats {
  const minSize = options.minSize ?? 800;
  const maxSize = options.maxSize ?? 1333;
  const images = new Map(dataset.images.map((i) => [i.id, i]));
  const perImage = new Map<number, number>(dataset.images.map((i) => [i.id, 0]));
  const perClass = new Map(dataset.categories.map((c) => [c.id, { objects: 0, images: new Set<number>() }]));
  const sizes: number[] = [];
  const inputs: { width: number; height: number }[] = [];
  const ratios: number[] = [];
  const areas = [0, 0, 0];
  let crowds = 0;
  for (const a of dataset.annotations) {
    const image = images.get(a.image_id);
    if (!image) continue;
    if (a.iscrowd) {
      crowds++;
      continue;
    }
    perImage.set(a.image_id, perImage.get(a.image_id)! + 1);
    const own = perClass.get(a.category_id);
    if (own) {
      own.objects++;
      own.images.add(a.image_id);
    }
    const [, , w, h] = a.bbox ?? [];
    if (!(w! > 0 && h! > 0)) continue;
    const [newHeight, newWidth] = resizeShortestEdgeShape(image.height, image.width, minSize, maxSize);
    sizes.push(Math.sqrt(w! * h!));
    inputs.push({ width: (w! * newWidth) / image.width, height: (h! * newHeight) / image.height });
    ratios.push(h! / w!);
    const area = a.area ?? w! * h!;
    areas[area < 32 ** 2 ? 0 : area < 96 ** 2 ? 1 : 2]!++;
  }
  const inputSizes = inputs.map((b) => Math.sqrt(b.width * b.height));
  const counts = [...perImage.values()];
  const anchors = anchorCoverage(inputs, options.anchorSizes ?? [32, 64, 128, 256, 512], options.aspectRatios ?? [0.5, 1, 2]);
  const widths = dataset.images.map((i) => i.width);
  const heights = dataset.images.map((i) => i.height);
  const stats: DatasetStats = {
    images: dataset.images.length,
    objects: counts.reduce((sum, n) => sum + n, 0),
    crowds,
    imagesWithoutObjects: counts.filter((n) => n === 0).length,
    classes: dataset.categories.map((c) => {
      const { objects, images: within } = perClass.get(c.id)!;
      return { id: c.id, name: c.name, objects, images: within.size };
    }),
    objectsPerImage: histogram(counts, [0, 1, 2, 4, 8, 16, 32, 64]),
    sizes: histogram(sizes, [0, 8, 16, 32, 64, 96, 128, 256, 512]),
    inputSizes: histogram(inputSizes, [0, 8, 16, 32, 64, 96, 128, 256, 512]),
    aspectRatios: histogram(ratios, [0, 0.2, 0.33, 0.5, 0.67, 1, 1.5, 2, 3, 5]),
    small: areas[0]!,
    medium: areas[1]!,
    large: areas[2]!,
    imageSizes: { width: threeNumbers(widths), height: threeNumbers(heights) },
    anchors,
    suggestedAnchors: suggestAnchors(inputs, anchors),
    advice: [],
  };
  stats.advice = adviceOn(stats, inputSizes, minSize, maxSize);
  return stats;
}

function adviceOn(stats: DatasetStats, inputSizes: number[], minSize: number, maxSize: number): string[] {
  const out: string[] = [];
  if (stats.objects === 0) return ['There are no objects to learn from.'];
  const { anchors, suggestedAnchors: better } = stats;
  if (better.sizes.join() !== anchors.sizes.join() || better.ratios.join() !== anchors.ratios.join())
    out.push(
      `Anchors of ${anchors.sizes.join(', ')} px cover ${percent(anchors.at50)} of the boxes at IoU 0.5; ${better.sizes.join(', ')} px with ratios ${better.ratios.join(', ')} would cover ${percent(better.at50)}: ` +
        `MODEL.ANCHOR_GENERATOR.SIZES=[${better.sizes.map((s) => `[${s}]`).join(', ')}] MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS=[[${better.ratios.join(', ')}]]`,
    );
  const low = quantile(inputSizes, 0.1);
  const shortest = Math.min(stats.imageSizes.width[1], stats.imageSizes.height[1]);
  if (low < 16) {
    const wanted = Math.min(Math.ceil((minSize * 16) / low / 32) * 32, 1600);
    out.push(
      `A tenth of the objects are smaller than ${low.toFixed(0)} px in the input, which is hard to learn; INPUT.MIN_SIZE_TEST=${wanted} (now ${minSize}, at most ${maxSize}) would bring them to ${((low * wanted) / minSize).toFixed(0)} px.`,
    );
  } else if (shortest * 1.5 < minSize && low * (shortest / minSize) >= 16)
    out.push(
      `The images are ${shortest} px on their shorter side and are enlarged to ${minSize}; INPUT.MIN_SIZE_TEST=${Math.round(shortest / 32) * 32 || 32} is faster and loses nothing.`,
    );
  const rare = stats.classes.filter((c) => c.objects > 0 && c.objects < 20);
  if (rare.length > 0)
    out.push(
      `Fewer than 20 objects: ${rare.map((c) => `${c.name} (${c.objects})`).join(', ')}. Label more, or repeat their images (repeat-factor sampling).`,
    );
  const most = Math.max(...stats.classes.map((c) => c.objects));
  const least = Math.min(...stats.classes.filter((c) => c.objects > 0).map((c) => c.objects));
  if (most > 50 * least)
    out.push(
      `The most frequent class has ${Math.round(most / least)} times the objects of the rarest: use repeat-factor sampling.`,
    );
  if (stats.imagesWithoutObjects > 0)
    out.push(`${stats.imagesWithoutObjects} images have no objects; training leaves them out unless told otherwise.`);
  return out;
}

/** Values below the first edge are in the first bin. */
export function histogram(values: readonly number[], edges: readonly number[]): Histogram {
  const counts = new Array<number>(edges.length).fill(0);
  for (const v of values) {
    let bin = edges.length - 1;
    while (bin > 0 && v < edges[bin]!) bin--;
    counts[bin]!++;
  }
  return { edges: [...edges], counts };
}

/** The value below which a share of the values lies; nearest rank. NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? NaN;
}

function threeNumbers(values: readonly number[]): [number, number, number] {
  return [quantile(values, 0), quantile(values, 0.5), quantile(values, 1)];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
