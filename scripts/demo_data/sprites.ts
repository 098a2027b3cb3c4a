import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import sharp from 'sharp';
import { type Artist, CLASS_ICONS, DISTRACTOR_ICONS } from './catalog.js';

/** A drawing as premultiplied RGBA in [0, 1], [size, size, 4], with its halvings: level i has size / 2^i. */
export interface Sprite {
  readonly icon: string;
  readonly artist: string;
  readonly levels: readonly { readonly size: number; readonly data: Float32Array }[];
}

/** The sprites of some artists, by class, and those of no class. */
export interface SpriteLibrary {
  /** One list per class, in the order of `CLASS_ICONS`. */
  readonly classes: readonly (readonly Sprite[])[];
  readonly distractors: readonly Sprite[];
}

/** The side at which drawings are rasterised, pixels. */
const SIDE = 256;

interface IconSet {
  readonly width?: number;
  readonly height?: number;
  readonly icons: Record<string, { body: string; width?: number; height?: number }>;
  readonly aliases?: Record<string, { parent: string }>;
}

/** Rasterises every icon that these artists have. A class that none of them draws is an error. */
export async function loadSprites(artists: readonly Artist[]): Promise<SpriteLibrary> {
  const require = createRequire(import.meta.url);
  const classes: Sprite[][] = Object.keys(CLASS_ICONS).map(() => []);
  const distractors: Sprite[] = [];
  for (const artist of artists) {
    const set = JSON.parse(readFileSync(require.resolve(`@iconify-json/${artist.set}/icons.json`), 'utf8')) as IconSet;
    const add = async (icon: string, list: Sprite[]): Promise<void> => {
      const svg = svgOf(set, icon);
      if (svg !== undefined) list.push({ icon, artist: artist.name, levels: await rasterise(svg) });
    };
    for (const [index, icons] of Object.values(CLASS_ICONS).entries()) for (const icon of icons) await add(icon, classes[index]);
    for (const icon of DISTRACTOR_ICONS) await add(icon, distractors);
  }
  const names = Object.keys(CLASS_ICONS);
  const missing = names.filter((_, i) => classes[i].length === 0);
  if (missing.length > 0)
    throw new Error(`No drawing of ${missing.join(', ')} by ${artists.map(({ name }) => name).join(', ')}.`);
  return { classes, distractors };
}

function svgOf(set: IconSet, name: string): string | undefined {
  const icon = set.icons[set.aliases?.[name]?.parent ?? name];
  if (icon === undefined) return undefined;
  const width = icon.width ?? set.width ?? 16;
  const height = icon.height ?? set.height ?? 16;
  const viewBox = `viewBox="0 0 ${width} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${SIDE}" height="${SIDE}" ${viewBox}>${icon.body}</svg>`;
}

async function rasterise(svg: string): Promise<Sprite['levels']> {
  const { data } = await sharp(Buffer.from(svg)).resize(SIDE, SIDE, { fit: 'contain' }).ensureAlpha().raw().toBuffer({
    resolveWithObject: true,
  });
  const values = new Float32Array(SIDE * SIDE * 4);
  for (let i = 0; i < values.length; i += 4) {
    const alpha = data[i + 3] / 255;
    for (let c = 0; c < 3; c++) values[i + c] = (data[i + c] / 255) * alpha;
    values[i + 3] = alpha;
  }
  const levels = [{ size: SIDE, data: values }];
  for (let size = SIDE / 2; size >= 16; size /= 2) levels.push({ size, data: halve(levels[levels.length - 1].data, size) });
  return levels;
}

/** The mean of every 2x2 block. */
function halve(data: Float32Array, size: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(size * size * 4);
  const row = size * 2 * 4;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      for (let c = 0; c < 4; c++) {
        const at = y * 2 * row + x * 8 + c;
        out[(y * size + x) * 4 + c] = (data[at] + data[at + 4] + data[at + row] + data[at + row + 4]) / 4;
      }
    }
  }
  return out;
}
