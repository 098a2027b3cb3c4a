import { basename, dirname, extname, join } from 'node:path';
import { DatasetError } from '../../../errors.js';
import { encodeRle } from '../../rle/rle.js';
import { labelComponents } from '../../rle/rle_to_polygons.js';
import { DatasetBuilder, type ImportedDataset } from './dataset_builder.js';
import { filesOf, picturesByStem, counted, type FilesDone } from './read_files.js';

/**
 * Mask pictures (PNG) beside pictures, in one of two layouts, told apart by whether there are subfolders:
 * - `MASKS/CLASS/PICTURE.png` or `MASKS/CLASS/PICTURE_anything.png`: every file is one object, anything but black belongs to it;
 * - `MASKS/PICTURE.png`: a label map; value 0 is background, 255 is ignored, value v is the v-th class of `classes`. Connected pixels of one value are
 *   one object.
 *
 * @param images folder of the pictures
 * @param classes needed for label maps
 */
export async function importMasks(
  masks: string,
  images: string,
  classes: readonly string[] = [],
  tick?: FilesDone,
): Promise<ImportedDataset> {
  const pictures = await picturesByStem(images);
  const files = await filesOf(masks, ['.png']);
  if (files.length === 0) throw new DatasetError(`${masks} has no PNG files.`);
  const builder = new DatasetBuilder(classes);
  const imageIds = new Map<string, { id: number; width: number; height: number }>();
  for (const file of counted(files, tick)) {
    const path = join(masks, file);
    const folder = dirname(file);
    const stem = stemOf(basename(file, extname(file)), pictures, folder !== '.');
    if (stem === undefined) {
      builder.warnings.push(`${path}: there is no picture of this name in ${images}`);
      continue;
    }
    const { data, width, height } = await grayOf(path);
    let image = imageIds.get(stem);
    if (!image) {
      image = { id: builder.addImage(pictures.get(stem)!, width, height), width, height };
      imageIds.set(stem, image);
    }
    if (image.width !== width || image.height !== height)
      throw new DatasetError(
        `${path} is ${width} x ${height}, another mask of the same picture ${image.width} x ${image.height}.`,
      );
    if (folder !== '.') builder.addMask(image.id, basename(folder), encodeRle(data, height, width, 'row'), path);
    else addLabelMap(builder, image.id, data, height, width, classes, path);
  }
  return builder.finish();
}

function addLabelMap(
  builder: DatasetBuilder,
  id: number,
  data: Uint8Array,
  height: number,
  width: number,
  classes: readonly string[],
  path: string,
): void {
  const values = new Set(data);
  for (const value of [...values].sort((a, b) => a - b)) {
    if (value === 0 || value === 255) continue;
    const name = classes[value - 1];
    if (name === undefined)
      throw new DatasetError(
        `${path} has the value ${value}, but there are ${classes.length} classes; name them with --classes, in the order of the values from 1.`,
      );
    const labels = labelComponents(
      data.map((v) => (v === value ? 1 : 0)),
      height,
      width,
    );
    let most = 0;
    for (const l of labels) if (l > most) most = l;
    for (let label = 1; label <= most; label++)
      builder.addMask(
        id,
        name,
        encodeRle(
          Uint8Array.from(labels, (l) => (l === label ? 1 : 0)),
          height,
          width,
          'row',
        ),
        path,
      );
  }
}

/** The picture that a mask belongs to: of the same name, or the longest name that the mask's begins with. */
function stemOf(name: string, pictures: ReadonlyMap<string, string>, numbered: boolean): string | undefined {
  if (pictures.has(name)) return name;
  if (!numbered) return undefined;
  for (let end = name.length - 1; end > 0; end--)
    if (/[^a-z0-9]/i.test(name[end]!) && pictures.has(name.slice(0, end))) return name.slice(0, end);
  return undefined;
}

/** The values as they are stored: palette pictures give indices, colour pictures their red. */
async function grayOf(path: string): Promise<{ data: Uint8Array; width: number; height: number }> {
  const { readFile } = await import('node:fs/promises');
  const { decode } = await import('fast-png');
  try {
    const png = decode(await readFile(path));
    const { width, height, channels, depth } = png;
    const data = new Uint8Array(width * height);
    if (depth < 8) {
      const row = Math.ceil((width * depth) / 8);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const bit = x * depth;
          data[y * width + x] = (png.data[y * row + (bit >> 3)]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
        }
    } else for (let i = 0; i < data.length; i++) data[i] = Math.min(255, png.data[i * channels]!);
    return { data, width, height };
  } catch (error) {
    throw new DatasetError(`The mask ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
