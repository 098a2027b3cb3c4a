import { join } from 'node:path';
import { DatasetError } from '../../../errors.js';
import { boxPolygon, DatasetBuilder, ellipsePolygon, type ImportedDataset } from './dataset_builder.js';
import { asNumber, asNumbers, asObject, pictureSize, readJsonObject, counted, type FilesDone } from './read_files.js';

/** Options of {@link importVia}. */
export interface ImportViaOptions {
  /** The region attribute that holds the class. Absent: the only one, or `class`, `label`, `name`, `type`. */
  classAttribute?: string;
  /** The class of regions without attributes. Default `object`. */
  defaultClass?: string;
}

const USUAL_NAMES = ['class', 'label', 'name', 'category', 'type'];

/**
 * VGG Image Annotator, versions 1 and 2: an exported annotation JSON or a saved project. Polygons, polylines, rectangles, circles and ellipses become
 * masks; points are left out with a warning.
 *
 * @param images the folder of the pictures: VIA does not store their sizes
 */
export async function importVia(
  file: string,
  images: string,
  options: ImportViaOptions = {},
  tick?: FilesDone,
): Promise<ImportedDataset> {
  const document = await readJsonObject(file);
  const entries = asObject(document['_via_img_metadata'] ?? document, file);
  const builder = new DatasetBuilder();
  for (const [key, value] of counted(Object.entries(entries), tick)) {
    const where = `${file}: ${key}`;
    const entry = asObject(value, where);
    const name = entry['filename'];
    if (typeof name !== 'string') throw new DatasetError(`${where} has no filename; is this a VIA annotation file?`);
    const { width, height } = await pictureSize(join(images, name));
    const id = builder.addImage(name, width, height);
    // Version 1 has an object of regions, version 2 a list.
    for (const [n, region] of Object.entries(asObjectOrList(entry['regions'], where))) {
      const at = `${where}: region ${n}`;
      const { shape_attributes, region_attributes } = asObject(region, at);
      const shape = asObject(shape_attributes, `${at}: shape_attributes`);
      const label = classOf(asObject(region_attributes ?? {}, `${at}: region_attributes`), options, at);
      const polygon = polygonOf(shape, at);
      if (polygon) builder.addPolygons(id, label, [polygon], at);
      else builder.warnings.push(`${at}: shapes of the kind "${String(shape['name'])}" are not imported`);
    }
  }
  return builder.finish();
}

function asObjectOrList(value: unknown, where: string): Record<string, unknown> {
  if (value === undefined) return {};
  return Array.isArray(value) ? Object.fromEntries(value.entries()) : asObject(value, `${where}: regions`);
}

function polygonOf(shape: Record<string, unknown>, at: string): number[] | undefined {
  const number = (key: string): number => asNumber(shape[key], `${at}: ${key}`);
  switch (shape['name']) {
    case 'polygon':
    case 'polyline': {
      const xs = asNumbers(shape['all_points_x'], `${at}: all_points_x`);
      const ys = asNumbers(shape['all_points_y'], `${at}: all_points_y`);
      if (xs.length !== ys.length) throw new DatasetError(`${at}: ${xs.length} x and ${ys.length} y coordinates.`);
      return xs.flatMap((x, i) => [x, ys[i]!]);
    }
    case 'rect':
      return boxPolygon(number('x'), number('y'), number('width'), number('height'));
    case 'circle':
      return ellipsePolygon(number('cx'), number('cy'), number('r'), number('r'));
    case 'ellipse':
      return ellipsePolygon(
        number('cx'),
        number('cy'),
        number('rx'),
        number('ry'),
        asNumber(shape['theta'] ?? 0, `${at}: theta`),
      );
    default:
      return undefined;
  }
}

function classOf(attributes: Record<string, unknown>, options: ImportViaOptions, at: string): string {
  const keys = Object.keys(attributes);
  const key = options.classAttribute ?? (keys.length === 1 ? keys[0] : keys.find((k) => USUAL_NAMES.includes(k.toLowerCase())));
  if (key === undefined) {
    if (keys.length > 1)
      throw new DatasetError(`${at} has the attributes ${keys.join(', ')}; say which one is the class (--class-attribute).`);
    return options.defaultClass ?? 'object';
  }
  const value = attributes[key];
  // A checkbox attribute is an object of true flags.
  const text = typeof value === 'object' && value !== null ? (Object.keys(value)[0] ?? '') : String(value ?? '');
  return text.trim() === '' ? (options.defaultClass ?? 'object') : text.trim();
}
