import type { Random } from '../../src/data/random.js';
import { type Canvas, paintBackground } from './backgrounds.js';
import type { Sprite, SpriteLibrary } from './sprites.js';

/** What compositions are like. */
export interface CompositionOptions {
  readonly height: number;
  readonly width: number;
  /** Objects per picture, both ends included. */
  readonly objects: readonly [least: number, most: number];
  /** The longer side of a drawing as pasted, pixels. */
  readonly sizes: readonly [smallest: number, largest: number];
}

/** An object of a composition with the part of it that is seen. */
export interface ComposedObject {
  readonly classIndex: number;
  readonly artist: string;
  /** [height, width], 1 where the object is on top. */
  readonly mask: Uint8Array;
}

export interface Composition {
  /** [height, width, 3] RGB. */
  readonly image: Uint8Array;
  readonly objects: readonly ComposedObject[];
}

/** An object is left out of a picture rather than covered beyond this share of itself. */
const LEAST_VISIBLE = 0.45;
/** Pixels: less than that is no object. */
const LEAST_AREA = 60;
/** Pixels of the ground or of a thing of no class in the map of owners. */
const NOBODY = -1;

interface Pasted {
  readonly classIndex: number;
  readonly artist: string;
  /** Pixels of the whole object, also of what lies outside or is covered. */
  readonly area: number;
  visible: number;
}

/** Pastes drawings over a textured ground: scaled, turned, sheared, recoloured, over each other and over the border; the masks are exact. */
export function compose(library: SpriteLibrary, options: CompositionOptions, random: Random): Composition {
  const { height, width } = options;
  const canvas = paintBackground(height, width, random);
  const owners = new Int16Array(height * width).fill(NOBODY);
  const pasted: Pasted[] = [];
  const [least, most] = options.objects;
  const wanted = least + random.integer(most - least + 1);
  const strewn = random.integer(4);
  for (let i = 0; i < wanted + strewn; i++) {
    const isObject = random.next() * (wanted + strewn - i) < wanted - pasted.length;
    const classIndex = isObject ? random.integer(library.classes.length) : NOBODY;
    const sprites = isObject ? library.classes[classIndex] : library.distractors;
    if (sprites.length === 0) continue;
    const sprite = sprites[random.integer(sprites.length)];
    for (let attempt = 0; attempt < 8; attempt++) {
      const layer = warp(sprite, options, random);
      if (layer === undefined || !fits(layer, owners, pasted, width)) continue;
      if (isObject) pasted.push({ classIndex, artist: sprite.artist, area: layer.area, visible: 0 });
      paste(layer, canvas, owners, isObject ? pasted.length - 1 : NOBODY, pasted, random);
      break;
    }
  }
  finish(canvas, random);
  const image = Uint8Array.from(canvas.rgb, (v) => Math.min(255, Math.max(0, Math.round(v * 255))));
  const objects = pasted
    .map(({ classIndex, artist, visible }, i) => ({ classIndex, artist, visible, mask: owners.map((o) => Number(o === i)) }))
    .filter(({ visible }) => visible >= LEAST_AREA)
    .map(({ classIndex, artist, mask }) => ({ classIndex, artist, mask: Uint8Array.from(mask) }));
  return { image, objects };
}

/** A drawing in the picture's frame: premultiplied RGBA over the pixels x0..x1, y0..y1 (ends excluded). */
interface Layer {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
  readonly rgba: Float32Array;
  /** Pixels of the whole drawing that are more than half covered, outside of the picture too. */
  readonly area: number;
}

function warp(sprite: Sprite, { height, width, sizes }: CompositionOptions, random: Random): Layer | undefined {
  const side = sizes[0] * (sizes[1] / sizes[0]) ** random.next();
  const angle = (random.next() < 0.8 ? random.uniform(-20, 20) : random.uniform(-60, 60)) * (Math.PI / 180);
  const [sx, sy] = [side * random.uniform(0.85, 1.15) * (random.next() < 0.5 ? -1 : 1), side * random.uniform(0.85, 1.15)];
  const shear = random.uniform(-0.15, 0.15);
  const [cx, cy] = [random.uniform(0.05, 0.95) * width, random.uniform(0.05, 0.95) * height];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const reach = Math.abs(side) * 0.95;
  const [x0, y0] = [Math.floor(cx - reach), Math.floor(cy - reach)];
  const [x1, y1] = [Math.ceil(cx + reach), Math.ceil(cy + reach)];
  const level = sprite.levels.findLast(({ size }) => size >= side) ?? sprite.levels[0];
  const tint = [random.uniform(0.75, 1.2), random.uniform(0.75, 1.2), random.uniform(0.75, 1.2)];
  const lift = random.uniform(-0.08, 0.08);
  const left = Math.max(0, x0);
  const top = Math.max(0, y0);
  const right = Math.min(width, x1);
  const bottom = Math.min(height, y1);
  if (right <= left || bottom <= top) return undefined;
  const rgba = new Float32Array((right - left) * (bottom - top) * 4);
  const texel = new Float32Array(4);
  let area = 0;
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      const [dx, dy] = [x + 0.5 - cx, y + 0.5 - cy];
      const v = (-sin * dx + cos * dy) / sy;
      const u = (cos * dx + sin * dy) / sx - shear * v;
      if (!sample(level, u + 0.5, v + 0.5, texel)) continue;
      if (texel[3] >= 0.5) area++;
      if (x < left || x >= right || y < top || y >= bottom) continue;
      const at = ((y - top) * (right - left) + x - left) * 4;
      for (let c = 0; c < 3; c++) rgba[at + c] = Math.min(texel[3], Math.max(0, texel[c] * tint[c] + lift * texel[3]));
      rgba[at + 3] = texel[3];
    }
  }
  return area >= LEAST_AREA ? { x0: left, y0: top, x1: right, y1: bottom, rgba, area } : undefined;
}

/** Bilinear, (u, v) in [0, 1]; false where there is nothing. */
function sample({ size, data }: Sprite['levels'][number], u: number, v: number, out: Float32Array): boolean {
  const x = u * size - 0.5;
  const y = v * size - 0.5;
  const [xl, yl] = [Math.floor(x), Math.floor(y)];
  if (xl < -1 || yl < -1 || xl >= size || yl >= size) return false;
  const [fx, fy] = [x - xl, y - yl];
  out.fill(0);
  for (let j = 0; j < 2; j++) {
    for (let i = 0; i < 2; i++) {
      const [px, py] = [xl + i, yl + j];
      if (px < 0 || py < 0 || px >= size || py >= size) continue;
      const weight = (i ? fx : 1 - fx) * (j ? fy : 1 - fy);
      for (let c = 0; c < 4; c++) out[c] += weight * data[(py * size + px) * 4 + c];
    }
  }
  return out[3] > 0.002;
}

/** Whether enough stays visible of the new thing and of everything below it. */
function fits({ x0, y0, x1, y1, rgba, area }: Layer, owners: Int16Array, pasted: readonly Pasted[], width: number): boolean {
  const covered = new Map<number, number>();
  let inside = 0;
  for (let y = y0, at = 3; y < y1; y++) {
    for (let x = x0; x < x1; x++, at += 4) {
      if (rgba[at] < 0.5) continue;
      inside++;
      const owner = owners[y * width + x];
      if (owner !== NOBODY) covered.set(owner, (covered.get(owner) ?? 0) + 1);
    }
  }
  if (inside < LEAST_VISIBLE * area) return false;
  return [...covered].every(([owner, pixels]) => {
    const left = pasted[owner].visible - pixels;
    return left >= LEAST_VISIBLE * pasted[owner].area && left >= LEAST_AREA;
  });
}

function paste(
  { x0, y0, x1, y1, rgba }: Layer,
  canvas: Canvas,
  owners: Int16Array,
  owner: number,
  pasted: Pasted[],
  random: Random,
): void {
  const { rgb, width } = canvas;
  const shade = random.next() < 0.4 ? random.uniform(0.1, 0.45) : 0;
  if (shade > 0) castShadow({ x0, y0, x1, y1, rgba, area: 0 }, canvas, shade, random);
  for (let y = y0, at = 0; y < y1; y++) {
    for (let x = x0; x < x1; x++, at += 4) {
      const alpha = rgba[at + 3];
      if (alpha === 0) continue;
      const pixel = y * width + x;
      for (let c = 0; c < 3; c++) rgb[pixel * 3 + c] = rgb[pixel * 3 + c] * (1 - alpha) + rgba[at + c];
      if (alpha < 0.5) continue;
      if (owners[pixel] !== NOBODY) pasted[owners[pixel]].visible--;
      owners[pixel] = owner;
      if (owner !== NOBODY) pasted[owner].visible++;
    }
  }
}

/** Darkens the ground beside a drawing, by its own shape a few pixels away. */
function castShadow({ x0, y0, x1, y1, rgba }: Layer, { rgb, width, height }: Canvas, shade: number, random: Random): void {
  const [dx, dy] = [random.integer(9) - 4, 1 + random.integer(6)];
  for (let y = y0, at = 3; y < y1; y++) {
    for (let x = x0; x < x1; x++, at += 4) {
      const [px, py] = [x + dx, y + dy];
      if (rgba[at] === 0 || px < 0 || py < 0 || px >= width || py >= height) continue;
      for (let c = 0; c < 3; c++) rgb[(py * width + px) * 3 + c] *= 1 - shade * rgba[at];
    }
  }
}

/** The camera: exposure, contrast, colour cast, blur, grain. */
function finish(canvas: Canvas, random: Random): void {
  if (random.next() < 0.3) blur(canvas);
  const { rgb } = canvas;
  const gain = random.uniform(0.75, 1.2);
  const offset = random.uniform(-0.06, 0.06);
  const cast = [random.uniform(0.92, 1.08), random.uniform(0.92, 1.08), random.uniform(0.92, 1.08)];
  const grain = random.next() < 0.5 ? random.uniform(0, 0.05) : 0;
  for (let i = 0; i < rgb.length; i++) {
    rgb[i] = (rgb[i] * gain + offset) * cast[i % 3] + (grain > 0 ? grain * random.normal() : 0);
  }
}

/** Binomial 3x3. */
function blur({ height, width, rgb }: Canvas): void {
  for (const step of [3, width * 3]) {
    const source = rgb.slice();
    const length = step === 3 ? width : height;
    for (let i = 0; i < rgb.length; i++) {
      const position = Math.floor(i / step) % length;
      const before = position > 0 ? source[i - step] : source[i];
      const after = position < length - 1 ? source[i + step] : source[i];
      rgb[i] = (before + 2 * source[i] + after) / 4;
    }
  }
}
