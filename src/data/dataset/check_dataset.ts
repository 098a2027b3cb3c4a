import type { CocoAnnotation, CocoDataset, CocoImage } from '../coco/coco_types.js';
import { polygonArea } from '../polygon_area.js';
import { checkRle, rleArea, rleToBox } from '../rle/rle.js';
import { segmentationToRle } from '../rle/segmentation.js';

/** What can be wrong, by name; the command line's table and JSON use these names. */
export type IssueKind =
  | 'bad_record'
  | 'duplicate_image_id'
  | 'duplicate_annotation_id'
  | 'duplicate_category_id'
  | 'orphan_image'
  | 'orphan_category'
  | 'bad_box'
  | 'box_off_image'
  | 'bad_polygon'
  | 'polygon_off_image'
  | 'bad_rle'
  | 'box_mask_disagree'
  | 'area_disagree'
  | 'missing_area'
  | 'missing_image'
  | 'unreadable_image'
  | 'size_mismatch'
  | 'unused_category'
  | 'empty_image';

/** One defect. */
export interface DatasetIssue {
  kind: IssueKind;
  /** Errors make a data set unfit; warnings are worth a look. */
  severity: 'error' | 'warning';
  imageId?: number;
  annotationId?: number;
  categoryId?: number;
  message: string;
  /** What the mended copy has instead. */
  mended: string;
}

/** What is known about a picture's file: its size (orientation applied), or why it is not known. */
export type PictureFacts = { width: number; height: number } | { problem: 'missing_image' | 'unreadable_image'; message: string };

/** What {@link checkDataset} returns. */
export interface DatasetCheck {
  issues: DatasetIssue[];
  /** A copy without the errors. Records that cannot be saved are left out. */
  mended: CocoDataset;
}

/** Boxes and areas may differ from the mask's by so much before it is a defect: annotation tools round, and draw boxes by hand. */
const SIDE_TOLERANCE = { pixels: 3, share: 0.05 };
const AREA_TOLERANCE = 0.1;

/**
 * Looks for everything that is known to spoil training or evaluation without a message. Boxes may leave the image by a pixel: tools round.
 *
 * @param pictures by image id, from the files; absent: the files are not looked at
 */
export function checkDataset(dataset: CocoDataset, pictures?: ReadonlyMap<number, PictureFacts>): DatasetCheck {
  const issues: DatasetIssue[] = [];
  const images = checkImages(dataset.images, pictures, issues);
  const categories = uniqueBy(dataset.categories, (c) =>
    issues.push({
      kind: 'duplicate_category_id',
      severity: 'error',
      categoryId: c.id,
      message: `category ${c.id} (${c.name}) has an id that another category has`,
      mended: 'the first category of the id is kept',
    }),
  );
  const known = new Map(images.map((i) => [i.id, i]));
  // An image that was taken out takes its annotations with it; that is said once, with the image.
  const declared = new Set(dataset.images.map((i) => i.id));
  const categoryIds = new Set(categories.map((c) => c.id));
  let nextId = dataset.annotations.reduce((most, a) => Math.max(most, a.id), 0) + 1;
  const ids = new Set<number>();
  const annotations: CocoAnnotation[] = [];
  for (const a of dataset.annotations) {
    const about = { annotationId: a.id, imageId: a.image_id };
    const image = known.get(a.image_id);
    if (!image) {
      if (!declared.has(a.image_id))
        issues.push({
          ...about,
          kind: 'orphan_image',
          severity: 'error',
          message: `annotation ${a.id} is for image ${a.image_id}, which is not in the file`,
          mended: 'the annotation is left out',
        });
      continue;
    }
    if (!categoryIds.has(a.category_id)) {
      issues.push({
        ...about,
        kind: 'orphan_category',
        severity: 'error',
        categoryId: a.category_id,
        message: `annotation ${a.id} has the category ${a.category_id}, which is not in the file`,
        mended: 'the annotation is left out',
      });
      continue;
    }
    const kept = checkAnnotation(a, image, issues);
    if (!kept) continue;
    if (ids.has(a.id)) {
      issues.push({
        ...about,
        kind: 'duplicate_annotation_id',
        severity: 'error',
        message: `annotation id ${a.id} occurs more than once`,
        mended: `this one has the new id ${nextId}`,
      });
      kept.id = nextId++;
    }
    ids.add(kept.id);
    annotations.push(kept);
  }
  const used = new Set(annotations.map((a) => a.category_id));
  for (const c of categories)
    if (!used.has(c.id))
      issues.push({
        kind: 'unused_category',
        severity: 'warning',
        categoryId: c.id,
        message: `category ${c.id} (${c.name}) has no annotation`,
        mended: 'it is kept',
      });
  const filled = new Set(annotations.map((a) => a.image_id));
  for (const i of images)
    if (!filled.has(i.id))
      issues.push({
        kind: 'empty_image',
        severity: 'warning',
        imageId: i.id,
        message: `image ${i.id} (${i.file_name}) has no annotation`,
        mended: 'it is kept',
      });
  return { issues, mended: { ...dataset, images, categories, annotations } };
}

function checkImages(
  images: readonly CocoImage[],
  pictures: ReadonlyMap<number, PictureFacts> | undefined,
  issues: DatasetIssue[],
): CocoImage[] {
  const unique = uniqueBy(images, (i) =>
    issues.push({
      kind: 'duplicate_image_id',
      severity: 'error',
      imageId: i.id,
      message: `image ${i.id} (${i.file_name}) has an id that another image has`,
      mended: 'the first image of the id is kept',
    }),
  );
  const out: CocoImage[] = [];
  for (const image of unique) {
    const facts = pictures?.get(image.id);
    if (!facts) out.push(image);
    else if ('problem' in facts)
      issues.push({
        kind: facts.problem,
        severity: 'error',
        imageId: image.id,
        message: facts.message,
        mended: 'the image and its annotations are left out',
      });
    else if (facts.width === image.width && facts.height === image.height) out.push(image);
    else {
      issues.push({
        kind: 'size_mismatch',
        severity: 'error',
        imageId: image.id,
        message: `image ${image.id} (${image.file_name}) is ${facts.width} x ${facts.height}, the file says ${image.width} x ${image.height}`,
        mended: 'the picture’s own size is written; annotations stay as they are',
      });
      out.push({ ...image, width: facts.width, height: facts.height });
    }
  }
  return out;
}

/** The annotation without its defects, or undefined when nothing is left of it. */
function checkAnnotation(a: CocoAnnotation, image: CocoImage, issues: DatasetIssue[]): CocoAnnotation | undefined {
  const say = (kind: IssueKind, severity: 'error' | 'warning', message: string, mended: string): void => {
    issues.push({ kind, severity, annotationId: a.id, imageId: a.image_id, message: `annotation ${a.id}: ${message}`, mended });
  };
  const out: CocoAnnotation = { ...a };
  const hadMask = a.segmentation && !(Array.isArray(a.segmentation) && a.segmentation.length === 0);
  const mask = hadMask ? checkMask(out, image, say) : undefined;
  if (hadMask && !mask && !usableBox(a.bbox, image)) return undefined;
  checkBox(out, image, mask?.box, say);
  if (!usableBox(out.bbox, image)) return undefined;
  const area = mask ? mask.area : out.bbox![2]! * out.bbox![3]!;
  if (a.area === undefined) {
    say('missing_area', 'error', 'it has no area', `the area is ${area}`);
    out.area = area;
  } else if (mask && Math.abs(a.area - area) > AREA_TOLERANCE * Math.max(area, a.area) + 4) {
    say('area_disagree', 'warning', `its area is ${a.area}, its mask has ${area} pixels`, 'the area of the mask is written');
    out.area = area;
  }
  return out;
}

type Say = (kind: IssueKind, severity: 'error' | 'warning', message: string, mended: string) => void;

/** Mends `out.segmentation`; the mask's box and area where something is left. */
function checkMask(out: CocoAnnotation, image: CocoImage, say: Say): { box: number[]; area: number } | undefined {
  const { height, width } = image;
  const { segmentation } = out;
  if (Array.isArray(segmentation)) {
    const good: number[][] = [];
    segmentation.forEach((polygon, n) => {
      const problem =
        polygon.length % 2 !== 0
          ? `has ${polygon.length} numbers, an odd count`
          : polygon.length < 6
            ? `has ${polygon.length / 2} points, 3 are needed`
            : polygonArea(polygon) === 0
              ? 'has no area'
              : '';
      if (problem) return say('bad_polygon', 'error', `polygon ${n} ${problem}`, 'the polygon is left out');
      const off = polygon.some((v, i) => v < -1 || v > (i % 2 === 0 ? width : height) + 1);
      if (!off) return void good.push(polygon);
      const clipped = polygon.map((v, i) => Math.min(Math.max(v, 0), i % 2 === 0 ? width : height));
      const left = polygonArea(clipped) > 0;
      say(
        'polygon_off_image',
        'error',
        `polygon ${n} leaves the image (${width} x ${height})`,
        left ? 'its corners are moved to the border' : 'the polygon is left out',
      );
      if (left) good.push(clipped);
      return undefined;
    });
    if (good.length === 0) {
      delete out.segmentation;
      return undefined;
    }
    out.segmentation = good;
  } else if (segmentation) {
    const { size } = segmentation;
    let problem = '';
    try {
      if (size[0] !== height || size[1] !== width)
        problem = `its mask is ${size[1]} x ${size[0]}, its image ${width} x ${height}`;
      else checkRle(segmentationToRle(segmentation, height, width));
    } catch (error) {
      problem = (error as Error).message;
    }
    if (problem) {
      say('bad_rle', 'error', problem, 'the mask is left out');
      delete out.segmentation;
      return undefined;
    }
  }
  const rle = segmentationToRle(out.segmentation!, height, width);
  const area = rleArea(rle);
  if (area > 0) return { box: rleToBox(rle), area };
  say('bad_polygon', 'error', 'its mask covers no pixel', 'the mask is left out');
  delete out.segmentation;
  return undefined;
}

function checkBox(out: CocoAnnotation, image: CocoImage, maskBox: number[] | undefined, say: Say): void {
  const { bbox } = out;
  const instead = maskBox ? 'the box of the mask is written' : 'the annotation is left out';
  if (bbox?.length !== 4) {
    say('bad_box', 'error', 'it has no box', instead);
  } else {
    const [x, y, w, h] = bbox as [number, number, number, number];
    if (!(w > 0 && h > 0)) say('bad_box', 'error', `its box is ${w} wide and ${h} high`, instead);
    else if (x >= image.width || y >= image.height || x + w <= 0 || y + h <= 0)
      say(
        'box_off_image',
        'error',
        `its box [${bbox.join(', ')}] lies outside of the image (${image.width} x ${image.height})`,
        instead,
      );
    else {
      if (x < -1 || y < -1 || x + w > image.width + 1 || y + h > image.height + 1) {
        say(
          'box_off_image',
          'error',
          `its box [${bbox.join(', ')}] leaves the image (${image.width} x ${image.height})`,
          maskBox ? instead : 'it is cut at the border',
        );
        const [x0, y0] = [Math.max(x, 0), Math.max(y, 0)];
        out.bbox = maskBox ?? [x0, y0, Math.min(x + w, image.width) - x0, Math.min(y + h, image.height) - y0];
      }
      if (maskBox && !boxesAgree(out.bbox!, maskBox)) {
        say(
          'box_mask_disagree',
          'error',
          `its box is [${bbox.join(', ')}], its mask reaches over [${maskBox.join(', ')}]`,
          instead,
        );
        out.bbox = maskBox;
      }
      return;
    }
  }
  if (maskBox) out.bbox = maskBox;
  else delete out.bbox;
}

function usableBox(box: readonly number[] | undefined, image: CocoImage): boolean {
  if (box?.length !== 4) return false;
  const [x, y, w, h] = box as [number, number, number, number];
  return w > 0 && h > 0 && x < image.width && y < image.height && x + w > 0 && y + h > 0;
}

function boxesAgree(a: readonly number[], b: readonly number[]): boolean {
  const allowed = (side: number): number => SIDE_TOLERANCE.pixels + SIDE_TOLERANCE.share * Math.max(a[2 + side]!, b[2 + side]!);
  return [0, 1].every(
    (s) => Math.abs(a[s]! - b[s]!) <= allowed(s) && Math.abs(a[s]! + a[s + 2]! - b[s]! - b[s + 2]!) <= allowed(s),
  );
}

/** The first of each id; `repeated` hears of the others. */
function uniqueBy<T extends { id: number }>(items: readonly T[], repeated: (item: T) => void): T[] {
  const seen = new Set<number>();
  return items.filter((item) => {
    if (seen.has(item.id)) {
      repeated(item);
      return false;
    }
    seen.add(item.id);
    return true;
  });
}
