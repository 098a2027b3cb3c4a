import { ArgumentError } from '../errors.js';
import { classColor, textColorOn, type Rgb } from './colors.js';
import { maskContours, polygonsArea, type MaskCrop } from './contours.js';
import { capHeight, fitText, measureText } from './label_font.js';
import { type KeypointRule, type Skeleton, skeletonOf } from './skeleton.js';
import type { Keypoint } from '../structures/detected_instances.js';
import { layoutLabels, type PlacedLabel, type Rectangle } from './label_layout.js';

/** One object to draw. */
export interface DrawnInstance {
  /** Pixels of the picture. */
  box: readonly [x0: number, y0: number, x1: number, y1: number];
  /** 0..1; left out of the label where missing. */
  score?: number;
  className: string;
  /** Contiguous, 0-based; gives the colour. */
  classIndex: number;
  /** The mask, as a crop of the picture. Goes before `polygons`. */
  bitmap?: MaskCrop;
  /** The mask as COCO polygons: each a flat list x, y, x, y, ... in pixels; their union is drawn. */
  polygons?: readonly ArrayLike<number>[];
  keypoints?: readonly Keypoint[];
  /** A region of stuff: no box, a thin outline, the label inside. */
  isStuff?: boolean;
}

/** How to draw. Sizes are pixels of the result; those left out grow with the picture. */
export interface DrawOptions {
  /** Enlarges the result, so that small pictures get readable labels: 2 doubles width and height. Default 1. */
  scale?: number;
  /** Opacity of the masks, 0..1. Default 0.42. */
  maskOpacity?: number;
  /** Width of outlines; boxes get the same where there is no mask, and a thinner line where there is one. */
  lineWidth?: number;
  /** Size of the labels' text. */
  fontSize?: number;
  /** Default true. */
  showBoxes?: boolean;
  /** Default true. */
  showLabels?: boolean;
  /** Lines between keypoints, by name. Default: COCO's persons, in Detectron2's colours. */
  skeleton?: readonly KeypointRule[];
}

/** A picture's overlays, measured and placed, in pixels of the result: what the PNG and the SVG writer draw. */
export interface Scene {
  width: number;
  height: number;
  fontSize: number;
  maskOpacity: number;
  /** Width of a skeleton's lines, radius of its points. */
  skeletonWidth: number;
  /** Largest first, so that nothing small is covered. */
  shapes: SceneShape[];
  labels: SceneLabel[];
}

export interface SceneShape {
  color: Rgb;
  text: string;
  className: string;
  polygons: Float32Array[];
  lineWidth: number;
  box?: Rectangle;
  boxLineWidth: number;
  /** Absent without keypoints; drawn over everything but the labels. */
  skeleton?: Skeleton;
}

export interface SceneLabel {
  color: Rgb;
  textColor: Rgb;
  text: string;
  place: PlacedLabel;
  textX: number;
  baseline: number;
  textWidth: number;
}

/**
 * Measures and places everything that is drawn over a picture.
 * @param height,width size of the picture, pixels
 * @throws ArgumentError for a size, option or instance that cannot be drawn; the message names it
 */
export function buildScene(height: number, width: number, instances: readonly DrawnInstance[], options: DrawOptions = {}): Scene {
  const scale = options.scale ?? 1;
  const maskOpacity = options.maskOpacity ?? 0.42;
  if (!(height >= 1 && width >= 1))
    throw new ArgumentError(`height and width must be at least 1 pixel, got ${height} x ${width}`);
  if (!(scale > 0 && scale <= 16)) throw new ArgumentError(`scale must be above 0 and at most 16, got ${scale}`);
  if (!(maskOpacity >= 0 && maskOpacity <= 1)) throw new ArgumentError(`maskOpacity must be from 0 to 1, got ${maskOpacity}`);
  instances.forEach(checkInstance);
  const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
  const side = Math.sqrt(size.width * size.height);
  const lineWidth = options.lineWidth ?? Math.max(1.5, Math.round(side / 170) / 2);
  const fontSize = options.fontSize ?? Math.max(10, Math.round(8 + side / 95));

  const shapes = instances.map((instance): SceneShape & { area: number } => {
    const polygons = instance.bitmap ? maskContours(instance.bitmap) : (instance.polygons ?? []).map(wound);
    const scaled = polygons.map((polygon) => polygon.map((v) => v * scale));
    const boxLineWidth = scaled.length > 0 ? Math.max(1, Math.round(lineWidth / 2)) : Math.max(1, Math.round(lineWidth));
    const [x0, y0, x1, y1] = instance.box.map((v) => v * scale);
    const box = options.showBoxes === false || instance.isStuff ? undefined : snapped({ x0, y0, x1, y1 }, boxLineWidth, size);
    const area = scaled.length > 0 ? polygonsArea(scaled) : Math.abs((x1 - x0) * (y1 - y0));
    const color = classColor(instance.classIndex);
    return {
      color,
      text: labelText(instance),
      className: instance.className,
      polygons: scaled,
      lineWidth: instance.isStuff ? Math.max(1, lineWidth / 2) : lineWidth,
      box,
      boxLineWidth,
      area,
      ...(instance.keypoints ? { skeleton: enlarged(skeletonOf(instance.keypoints, options.skeleton), scale) } : {}),
    };
  });

  const padding = Math.round(fontSize * 0.35);
  const chipHeight = Math.round(fontSize * 1.35);
  const texts = shapes.map((shape) => fitText(shape.text, fontSize, size.width - 2 * padding));
  const requests = shapes.map((shape, i) => {
    const [x0, y0, x1, y1] = labelledBox(instances[i]).map((v) => v * scale);
    // The label's edge continues the outer edge of the box's line.
    const grown = shape.box ? shape.boxLineWidth / 2 : 0;
    const box = shape.box ?? { x0, y0, x1, y1 };
    return {
      box: { x0: box.x0 - grown, y0: box.y0 - grown, x1: box.x1 + grown, y1: box.y1 + grown },
      width: Math.ceil(measureText(texts[i], fontSize)) + 2 * padding,
      height: chipHeight,
    };
  });
  const places = options.showLabels === false ? [] : layoutLabels(requests, size);
  const labels = places.map((place, i): SceneLabel => {
    const { color } = shapes[i];
    const textWidth = measureText(texts[i], fontSize);
    const baseline = Math.round(place.y0 + (chipHeight + fontSize * capHeight) / 2);
    return { color, textColor: textColorOn(color), text: texts[i], place, textX: place.x0 + padding, baseline, textWidth };
  });
  return { ...size, fontSize, maskOpacity, skeletonWidth: 2 * lineWidth, shapes: shapes.sort((a, b) => b.area - a.area), labels };
}

function enlarged({ lines, points }: Skeleton, scale: number): Skeleton {
  return {
    lines: lines.map(({ ends: [x0, y0, x1, y1], color }) => ({ ends: [x0 * scale, y0 * scale, x1 * scale, y1 * scale], color })),
    points: points.map(([x, y]) => [x * scale, y * scale]),
  };
}

/** What the label stands at: of stuff a spot in its middle, since its box may be the whole picture. */
function labelledBox({ box, bitmap, isStuff }: DrawnInstance): DrawnInstance['box'] {
  if (!isStuff || !bitmap) return box;
  const [x, y] = middleOf(bitmap);
  return [x, y, x, y];
}

/** A pixel inside: on the row that has the longest run, the middle of that run; of equal ones the row nearest to the middle. */
function middleOf({ x0, y0, x1, y1, bitmap }: MaskCrop): [x: number, y: number] {
  const [width, height] = [x1 - x0, y1 - y0];
  let best = { length: 0, x: 0, y: 0, off: Infinity };
  for (let y = 0; y < height; y++) {
    for (let x = 0, start = 0; x < width; x++) {
      if (!bitmap[y * width + x]) start = x + 1;
      const length = x + 1 - start;
      const off = Math.abs(y - height / 2);
      if (length > best.length || (length > 0 && length === best.length && off < best.off))
        best = { length, x: start + length / 2, y, off };
    }
  }
  return [x0 + best.x, y0 + best.y + 0.5];
}

function labelText({ className, score }: DrawnInstance): string {
  return score === undefined ? className : `${className} ${Math.round(score * 100)}%`;
}

/** Lines on whole pixels are crisp; lines that would leave the picture are pulled in. */
function snapped(box: Rectangle, lineWidth: number, size: { width: number; height: number }): Rectangle {
  const half = lineWidth / 2;
  const snap = (value: number, limit: number): number => Math.max(half, Math.min(limit - half, Math.round(value - half) + half));
  return {
    x0: snap(box.x0, size.width),
    y0: snap(box.y0, size.height),
    x1: snap(box.x1, size.width),
    y1: snap(box.y1, size.height),
  };
}

/** The polygon, turned so that its signed area is positive: then the union of several never cuts holes. */
function wound(polygon: ArrayLike<number>): Float32Array {
  const points = Float32Array.from(polygon);
  let area = 0;
  for (let i = 0, n = points.length; i < n; i += 2) area += points[i] * points[(i + 3) % n] - points[(i + 2) % n] * points[i + 1];
  if (area >= 0) return points;
  return points.map((_, i) => points[points.length - 2 - (i - (i % 2)) + (i % 2)]);
}

function checkInstance(instance: DrawnInstance, index: number): void {
  const fail = (what: string): never => {
    throw new ArgumentError(`instance ${index} (${instance.className}): ${what}`);
  };
  if (instance.box.length !== 4 || !instance.box.every(Number.isFinite))
    fail(`the box must be four finite numbers, got [${instance.box.join(', ')}]`);
  const { bitmap, polygons, keypoints } = instance;
  const odd = keypoints?.find(({ x, y, score }) => ![x, y, score].every(Number.isFinite));
  if (odd) fail(`the keypoint ${odd.name} must be of finite numbers, got ${odd.x}, ${odd.y}, ${odd.score}`);
  if (bitmap) {
    const expected = (bitmap.x1 - bitmap.x0) * (bitmap.y1 - bitmap.y0);
    if (bitmap.bitmap.length !== expected) fail(`the mask crop must hold ${expected} pixels, got ${bitmap.bitmap.length}`);
  }
  polygons?.forEach((polygon, i) => {
    if (polygon.length < 6 || polygon.length % 2 !== 0 || !Array.from(polygon).every(Number.isFinite))
      fail(`polygon ${i} must be at least three points of finite numbers (x, y, ...), got ${polygon.length} numbers`);
  });
}
