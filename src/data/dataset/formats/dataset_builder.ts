import { polygonsToRle } from '../../rle/polygon_to_rle.js';
import { rleArea, rleToBox, type Rle } from '../../rle/rle.js';
import { rleToCocoPolygons } from '../../rle/rle_to_polygons.js';
import type { CocoAnnotation, CocoDataset } from '../../coco/coco_types.js';

/** What an importer returns. */
export interface ImportedDataset {
  dataset: CocoDataset;
  /** What could not be taken over, each with the file it is in. */
  warnings: string[];
}

/** Collects images and objects and numbers them; classes are numbered as they first appear unless given beforehand. */
export class DatasetBuilder {
  readonly warnings: string[] = [];
  private readonly data: CocoDataset = { images: [], annotations: [], categories: [] };
  private readonly classes = new Map<string, number>();

  constructor(classNames: readonly string[] = []) {
    for (const name of classNames) this.categoryId(name);
  }

  /** @returns the image's id */
  addImage(fileName: string, width: number, height: number): number {
    const id = this.data.images.length + 1;
    this.data.images.push({ id, file_name: fileName, width, height });
    return id;
  }

  /** An object of a mask given by polygons; box and area are those of its pixels, and polygons without pixels are refused with a warning. */
  addPolygons(imageId: number, className: string, polygons: readonly (readonly number[])[], where: string): void {
    const { width, height } = this.data.images[imageId - 1]!;
    const good = polygons.filter((p) => p.length >= 6 && p.length % 2 === 0).map((p) => [...p]);
    const rle = good.length > 0 ? polygonsToRle(good, height, width) : undefined;
    if (!rle || rleArea(rle) === 0) {
      this.warnings.push(`${where}: a polygon of class "${className}" covers no pixel and is left out`);
      return;
    }
    this.add({
      image_id: imageId,
      category_id: this.categoryId(className),
      bbox: rleToBox(rle),
      area: rleArea(rle),
      segmentation: good,
    });
  }

  /** An object given by a bitmap. */
  addMask(imageId: number, className: string, mask: Rle, where: string): void {
    if (rleArea(mask) === 0) {
      this.warnings.push(`${where}: a mask of class "${className}" covers no pixel and is left out`);
      return;
    }
    this.add({
      image_id: imageId,
      category_id: this.categoryId(className),
      bbox: rleToBox(mask),
      area: rleArea(mask),
      segmentation: rleToCocoPolygons(mask),
    });
  }

  /** An object given by its box (x, y, width, height) alone. */
  addBox(imageId: number, className: string, bbox: readonly number[], where: string, extra: Record<string, unknown> = {}): void {
    const [, , w, h] = bbox;
    if (!(w! > 0 && h! > 0)) {
      this.warnings.push(`${where}: a box of class "${className}" is ${w} wide and ${h} high and is left out`);
      return;
    }
    this.add({ image_id: imageId, category_id: this.categoryId(className), bbox: [...bbox], area: w! * h!, ...extra });
  }

  finish(): ImportedDataset {
    return { dataset: this.data, warnings: this.warnings };
  }

  private add(annotation: Omit<CocoAnnotation, 'id'>): void {
    this.data.annotations.push({ id: this.data.annotations.length + 1, iscrowd: 0, ...annotation } as CocoAnnotation);
  }

  private categoryId(name: string): number {
    let id = this.classes.get(name);
    if (id === undefined) {
      id = this.classes.size + 1;
      this.classes.set(name, id);
      this.data.categories.push({ id, name });
    }
    return id;
  }
}

/** A circle or ellipse as a polygon inside of it, nowhere farther than a twentieth of a pixel. */
export function ellipsePolygon(cx: number, cy: number, rx: number, ry: number, theta = 0): number[] {
  const points = Math.max(12, Math.ceil(Math.PI / Math.acos(1 - Math.min(1, 0.05 / Math.max(rx, ry, 0.5)))));
  const out: number[] = [];
  for (let i = 0; i < points; i++) {
    const angle = (2 * Math.PI * i) / points;
    const [x, y] = [rx * Math.cos(angle), ry * Math.sin(angle)];
    out.push(cx + x * Math.cos(theta) - y * Math.sin(theta), cy + x * Math.sin(theta) + y * Math.cos(theta));
  }
  return out;
}

/** The corners of a box. */
export function boxPolygon(x: number, y: number, w: number, h: number): number[] {
  return [x, y, x + w, y, x + w, y + h, x, y + h];
}
