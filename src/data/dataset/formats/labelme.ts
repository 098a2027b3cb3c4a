import { basename, dirname, extname, join, relative } from 'node:path';
import { writeFileAtomic } from '../../../atomic_file.js';
import { DatasetError } from '../../../errors.js';
import type { CocoAnnotation, CocoDataset, CocoImage } from '../../coco/coco_types.js';
import { encodeRle } from '../../rle/rle.js';
import { rleToPolygons } from '../../rle/rle_to_polygons.js';
import { segmentationToRle } from '../../rle/segmentation.js';
import { boxPolygon, DatasetBuilder, ellipsePolygon, type ImportedDataset } from './dataset_builder.js';
import { asNumber, asNumbers, asObject, filesOf, readJsonObject, counted, type FilesDone } from './read_files.js';

/** labelme: a JSON file for each picture. Shapes of one label and group id are one object. Lines and points are left out with a warning. */
export async function importLabelme(folder: string, tick?: FilesDone): Promise<ImportedDataset> {
  const builder = new DatasetBuilder();
  for (const name of counted(await filesOf(folder, ['.json']), tick)) {
    const file = join(folder, name);
    const document = await readJsonObject(file);
    const { imagePath, shapes } = document;
    if (typeof imagePath !== 'string' || !Array.isArray(shapes))
      throw new DatasetError(`${file} has no imagePath or no shapes; is this a labelme file?`);
    const size = [
      asNumber(document['imageWidth'], `${file}: imageWidth`),
      asNumber(document['imageHeight'], `${file}: imageHeight`),
    ];
    const picture = relative(folder, join(dirname(file), imagePath.replaceAll('\\', '/')));
    const id = builder.addImage(picture, size[0]!, size[1]!);
    const groups = new Map<string, number[][]>();
    for (const [n, value] of shapes.entries()) {
      const at = `${file}: shape ${n}`;
      const shape = asObject(value, at);
      if (typeof shape['label'] !== 'string') throw new DatasetError(`${at} has no label.`);
      const { label } = shape;
      if (shape['shape_type'] === 'mask') {
        builder.addMask(id, label, await maskOf(shape, size[0]!, size[1]!, at), at);
        continue;
      }
      const polygon = polygonOf(shape, at);
      if (!polygon) {
        builder.warnings.push(`${at}: shapes of the kind "${String(shape['shape_type'])}" are not imported`);
        continue;
      }
      const group =
        shape['group_id'] === null || shape['group_id'] === undefined ? `shape ${n}` : `group ${String(shape['group_id'])}`;
      const key = JSON.stringify([label, group]);
      groups.set(key, [...(groups.get(key) ?? []), polygon]);
    }
    for (const [key, polygons] of groups) builder.addPolygons(id, (JSON.parse(key) as string[])[0]!, polygons, file);
  }
  return builder.finish();
}

function points(shape: Record<string, unknown>, at: string): [number, number][] {
  if (!Array.isArray(shape['points'])) throw new DatasetError(`${at} has no points.`);
  return shape['points'].map((p, i) => {
    const pair = asNumbers(p, `${at}: points[${i}]`);
    if (pair.length !== 2) throw new DatasetError(`${at}: points[${i}] must be x and y.`);
    return pair as [number, number];
  });
}

function polygonOf(shape: Record<string, unknown>, at: string): number[] | undefined {
  const p = points(shape, at);
  const [a, b] = p;
  switch (shape['shape_type'] ?? 'polygon') {
    case 'polygon':
      return p.flat();
    case 'rectangle':
      if (!a || !b) throw new DatasetError(`${at}: a rectangle needs two corners.`);
      return boxPolygon(Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1]));
    case 'circle': {
      if (!a || !b) throw new DatasetError(`${at}: a circle needs its centre and a point on it.`);
      const radius = Math.hypot(a[0] - b[0], a[1] - b[1]);
      return ellipsePolygon(a[0], a[1], radius, radius);
    }
    default:
      return undefined;
  }
}

/** A bitmap in a PNG (base64) at the place of a box whose second corner is included. */
async function maskOf(shape: Record<string, unknown>, width: number, height: number, at: string) {
  const [a] = points(shape, at);
  if (typeof shape['mask'] !== 'string' || !a) throw new DatasetError(`${at} is a mask without pixels or place.`);
  const { default: sharp } = await import('sharp');
  try {
    const { data, info } = await sharp(Buffer.from(shape['mask'], 'base64'))
      .toColourspace('b-w')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const bitmap = new Uint8Array(width * height);
    for (let y = 0; y < info.height; y++)
      for (let x = 0; x < info.width; x++) {
        const [px, py] = [x + Math.round(a[0]), y + Math.round(a[1])];
        if (px >= 0 && py >= 0 && px < width && py < height && data[(y * info.width + x) * info.channels])
          bitmap[py * width + px] = 1;
      }
    return encodeRle(bitmap, height, width, 'row');
  } catch (error) {
    throw new DatasetError(`${at}: the mask is no picture: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Writes one labelme JSON for each picture, without the picture's bytes: `imagePath` is its file name. Pieces of one object share a group id, holes are
 * lost (labelme has none; said in the warnings), boxes without masks become rectangles, crowds are left out.
 *
 * @returns warnings
 */
export async function exportLabelme(dataset: CocoDataset, folder: string, tick?: FilesDone): Promise<string[]> {
  const warnings: string[] = [];
  const names = new Map(dataset.categories.map((c) => [c.id, c.name]));
  for (const image of counted(dataset.images, tick)) {
    let group = 0;
    const shapes = dataset.annotations
      .filter((a) => a.image_id === image.id)
      .flatMap((a) => {
        if (a.iscrowd) {
          warnings.push(`annotation ${a.id} is a crowd, which labelme has no word for; it is left out`);
          return [];
        }
        const polygons = polygonsOf(a, image, warnings);
        const label = names.get(a.category_id) ?? String(a.category_id);
        if (polygons.length === 0 && a.bbox?.length === 4) {
          const [x, y, w, h] = a.bbox as [number, number, number, number];
          return [
            shapeOf(
              label,
              'rectangle',
              [
                [x, y],
                [x + w, y + h],
              ],
              null,
            ),
          ];
        }
        const id = polygons.length > 1 ? ++group : null;
        return polygons.map((p) => shapeOf(label, 'polygon', pairs(p), id));
      });
    const document = {
      version: '5.4.1',
      flags: {},
      shapes,
      imagePath: image.file_name,
      imageData: null,
      imageHeight: image.height,
      imageWidth: image.width,
    };
    const stem = basename(image.file_name, extname(image.file_name));
    await writeFileAtomic(join(folder, `${stem}.json`), `${JSON.stringify(document, null, 2)}\n`);
  }
  return warnings;
}

/** The outer outlines of an object. */
export function polygonsOf(a: CocoAnnotation, image: CocoImage, warnings: string[]): number[][] {
  if (!a.segmentation) return [];
  if (Array.isArray(a.segmentation)) return a.segmentation;
  const pieces = rleToPolygons(segmentationToRle(a.segmentation, image.height, image.width));
  if (pieces.some((p) => p.holes.length > 0)) warnings.push(`annotation ${a.id} has holes, which are filled`);
  return pieces.map((p) => p.outer);
}

const pairs = (polygon: readonly number[]): number[][] =>
  Array.from({ length: polygon.length / 2 }, (_, i) => [polygon[2 * i]!, polygon[2 * i + 1]!]);

function shapeOf(label: string, shape_type: string, corners: number[][], group_id: number | null) {
  return { label, points: corners, group_id, description: '', shape_type, flags: {}, mask: null };
}
