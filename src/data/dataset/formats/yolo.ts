import { basename, extname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { writeFileAtomic } from '../../../atomic_file.js';
import { DatasetError } from '../../../errors.js';
import type { CocoDataset } from '../../coco/coco_types.js';
import { DatasetBuilder, type ImportedDataset } from './dataset_builder.js';
import { polygonsOf } from './labelme.js';
import {
  asNumber,
  asObject,
  exists,
  filesOf,
  picturesByStem,
  pictureSize,
  readText,
  counted,
  type FilesDone,
} from './read_files.js';

/**
 * YOLO: a text file for each picture; lines of `class cx cy w h` (boxes) or `class x1 y1 x2 y2 x3 y3 ...` (polygons), as shares of the picture's size.
 *
 * @param labels folder of the text files
 * @param images folder of the pictures: sizes come from them, and pictures without a text file have no objects
 * @param names a `data.yaml` (its `names`) or a text file with a class on each line; absent: `class 0`, `class 1`, ...
 */
export async function importYolo(labels: string, images: string, names?: string, tick?: FilesDone): Promise<ImportedDataset> {
  const classes = names === undefined ? undefined : await classNames(names);
  const builder = new DatasetBuilder(classes ?? []);
  const pictures = await picturesByStem(images);
  const texts = new Map((await filesOf(labels, ['.txt'])).map((f) => [basename(f, '.txt'), f]));
  for (const [stem, file] of texts)
    if (!pictures.has(stem) && !(names !== undefined && join(labels, file) === names) && stem !== 'classes')
      builder.warnings.push(`${join(labels, file)}: there is no picture "${stem}" in ${images}`);
  for (const [stem, picture] of counted([...pictures], tick)) {
    const { width, height } = await pictureSize(join(images, picture));
    const id = builder.addImage(picture, width, height);
    const file = texts.get(stem);
    if (file === undefined) continue;
    const lines = (await readText(join(labels, file))).split(/\r?\n/);
    for (const [n, line] of lines.entries()) {
      if (line.trim() === '') continue;
      const at = `${join(labels, file)}:${n + 1}`;
      const numbers = line
        .trim()
        .split(/\s+/)
        .map((v) => asNumber(v, at));
      const index = numbers[0]!;
      if (!Number.isInteger(index) || index < 0)
        throw new DatasetError(`${at}: the class must be a whole number from 0, it is ${index}.`);
      const name = classes ? classes[index] : `class ${index}`;
      if (name === undefined)
        throw new DatasetError(`${at}: class ${index} has no name; ${names} has ${classes!.length} classes.`);
      const rest = numbers.slice(1);
      if (rest.length === 4) {
        const [cx, cy, w, h] = rest as [number, number, number, number];
        builder.addBox(id, name, [(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height], at);
      } else if (rest.length >= 6 && rest.length % 2 === 0)
        builder.addPolygons(id, name, [rest.map((v, i) => v * (i % 2 === 0 ? width : height))], at);
      else
        throw new DatasetError(
          `${at}: a line has a class and four numbers, or a class and a polygon; this one has ${numbers.length} numbers.`,
        );
    }
  }
  return builder.finish();
}

async function classNames(file: string): Promise<string[]> {
  const text = await readText(file);
  if (!/\.ya?ml$/i.test(file))
    return text
      .split(/\r?\n/)
      .map((l) => l.trim())
      .filter((l) => l !== '');
  let names: unknown;
  try {
    ({ names } = asObject(parse(text) as unknown, file));
  } catch (error) {
    throw new DatasetError(`${file} is not valid YAML: ${(error as Error).message}`, { cause: error });
  }
  if (Array.isArray(names)) return names.map(String);
  const out: string[] = [];
  for (const [key, name] of Object.entries(asObject(names ?? null, `${file}: names`)))
    out[asNumber(key, `${file}: names`)] = String(name);
  return out;
}

/**
 * Writes YOLO text files and `data.yaml`. `masks`: polygons, one line each (an object of several pieces becomes several lines; holes are filled), boxes
 * where there is no mask; else boxes. Crowds are left out.
 *
 * @returns warnings
 */
export async function exportYolo(dataset: CocoDataset, folder: string, masks: boolean, tick?: FilesDone): Promise<string[]> {
  const warnings: string[] = [];
  const indices = new Map(dataset.categories.map((c, i) => [c.id, i]));
  for (const image of counted(dataset.images, tick)) {
    const lines: string[] = [];
    const share = (v: number, i: number): string =>
      String(Number(Math.min(1, Math.max(0, v / (i % 2 === 0 ? image.width : image.height))).toFixed(6)));
    for (const a of dataset.annotations) {
      if (a.image_id !== image.id) continue;
      const index = indices.get(a.category_id);
      if (a.iscrowd || index === undefined) {
        warnings.push(`annotation ${a.id} ${a.iscrowd ? 'is a crowd' : 'has an unknown category'} and is left out`);
        continue;
      }
      const polygons = masks ? polygonsOf(a, image, warnings) : [];
      if (polygons.length > 1) warnings.push(`annotation ${a.id} has ${polygons.length} pieces, which become as many objects`);
      for (const p of polygons) lines.push(`${index} ${p.map(share).join(' ')}`);
      if (polygons.length > 0 || a.bbox?.length !== 4) continue;
      const [x, y, w, h] = a.bbox as [number, number, number, number];
      lines.push(`${index} ${[x + w / 2, y + h / 2, w, h].map(share).join(' ')}`);
    }
    const stem = basename(image.file_name, extname(image.file_name));
    await writeFileAtomic(join(folder, 'labels', `${stem}.txt`), lines.map((l) => `${l}\n`).join(''));
  }
  const names = Object.fromEntries(dataset.categories.map((c, i) => [i, c.name]));
  if (!(await exists(join(folder, 'data.yaml'))))
    await writeFileAtomic(join(folder, 'data.yaml'), stringify({ path: '.', train: 'images', val: 'images', names }));
  else warnings.push(`${join(folder, 'data.yaml')} was there and is kept`);
  return warnings;
}
