import type { Random } from '../../src/data/random.js';

/** An RGB picture in [0, 1], [height, width, 3]. */
export interface Canvas {
  readonly height: number;
  readonly width: number;
  readonly rgb: Float32Array;
}

type Rgb = readonly [number, number, number];

/** A textured ground: clouds, gradients, stripes, checks, discs or a landscape, in random colours, with grain. */
export function paintBackground(height: number, width: number, random: Random): Canvas {
  const canvas = { height, width, rgb: new Float32Array(height * width * 3) };
  const painters = [clouds, clouds, gradient, stripes, checks, landscape];
  painters[random.integer(painters.length)](canvas, random);
  if (random.next() < 0.5) discs(canvas, random);
  mottle(canvas, random);
  return canvas;
}

/** Any hue; half of the colours are dull, as in photographs. */
function colour(random: Random): Rgb {
  const hue = random.next() * 6;
  const saturation = random.next() ** 1.7;
  const value = random.uniform(0.12, 1);
  const channel = (offset: number): number => {
    const k = (offset + hue) % 6;
    return value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}

/** Value noise in about [0, 1]: random grids of doubling fineness, smoothly interpolated, each half as strong. */
function noise(height: number, width: number, cell: number, octaves: number, random: Random): Float32Array {
  const out = new Float32Array(height * width);
  let total = 0;
  for (let octave = 0, strength = 1; octave < octaves; octave++, strength /= 2) {
    const step = Math.max(2, cell / 2 ** octave);
    const rows = Math.ceil(height / step) + 2;
    const columns = Math.ceil(width / step) + 2;
    const grid = Float32Array.from({ length: rows * columns }, () => random.next());
    for (let y = 0; y < height; y++) {
      const gy = Math.floor(y / step);
      const fy = smooth(y / step - gy);
      for (let x = 0; x < width; x++) {
        const gx = Math.floor(x / step);
        const fx = smooth(x / step - gx);
        const at = gy * columns + gx;
        const top = grid[at] + (grid[at + 1] - grid[at]) * fx;
        const bottom = grid[at + columns] + (grid[at + columns + 1] - grid[at + columns]) * fx;
        out[y * width + x] += strength * (top + (bottom - top) * fy);
      }
    }
    total += strength;
  }
  for (let i = 0; i < out.length; i++) out[i] /= total;
  return out;
}

function smooth(t: number): number {
  return t * t * (3 - 2 * t);
}

/** Fills with a mix of two colours; `share(x, y)` of the second. */
function mix({ height, width, rgb }: Canvas, a: Rgb, b: Rgb, share: (x: number, y: number) => number): void {
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const t = Math.min(1, Math.max(0, share(x, y)));
      for (let c = 0; c < 3; c++) rgb[(y * width + x) * 3 + c] = a[c] + (b[c] - a[c]) * t;
    }
  }
}

function clouds(canvas: Canvas, random: Random): void {
  const field = noise(canvas.height, canvas.width, random.uniform(12, 120), 1 + random.integer(5), random);
  const contrast = random.uniform(1, 4);
  mix(canvas, colour(random), colour(random), (x, y) => 0.5 + (field[y * canvas.width + x] - 0.5) * contrast);
}

function gradient(canvas: Canvas, random: Random): void {
  const angle = random.uniform(0, 2 * Math.PI);
  const [cos, sin] = [Math.cos(angle) / canvas.width, Math.sin(angle) / canvas.height];
  mix(canvas, colour(random), colour(random), (x, y) => 0.5 + (x - canvas.width / 2) * cos + (y - canvas.height / 2) * sin);
}

function stripes(canvas: Canvas, random: Random): void {
  const angle = random.uniform(0, Math.PI);
  const pitch = (2 * Math.PI) / random.uniform(6, 60);
  const [cos, sin] = [Math.cos(angle) * pitch, Math.sin(angle) * pitch];
  const warp = noise(canvas.height, canvas.width, random.uniform(20, 90), 2, random);
  const strength = random.next() < 0.5 ? 0 : random.uniform(0, 12);
  const hardness = random.uniform(0.5, 4);
  const share = (x: number, y: number): number =>
    0.5 + hardness * 0.5 * Math.sin(x * cos + y * sin + warp[y * canvas.width + x] * strength);
  mix(canvas, colour(random), colour(random), share);
}

function checks(canvas: Canvas, random: Random): void {
  const [w, h] = [random.uniform(8, 70), random.uniform(8, 70)];
  const shift = random.next() < 0.5 ? 0.5 : 0;
  const joint = random.uniform(0, 0.15);
  const brick = random.next() < 0.5;
  mix(canvas, colour(random), colour(random), (x, y) => {
    const row = Math.floor(y / h);
    const across = x / w + (row % 2) * shift;
    if (!brick) return (Math.floor(across) + row) % 2;
    return across % 1 < joint || (y / h) % 1 < joint ? 1 : 0;
  });
}

/** A sky and two or three ridges. */
function landscape(canvas: Canvas, random: Random): void {
  const { height, width, rgb } = canvas;
  const horizon = random.uniform(0.3, 0.7) * height;
  mix(canvas, colour(random), colour(random), (_, y) => y / horizon);
  const ridges = 1 + random.integer(3);
  for (let i = 0; i < ridges; i++) {
    const profile = noise(1, width, random.uniform(20, 100), 4, random);
    const [near, far] = [colour(random), colour(random)];
    const base = horizon + (i * (height - horizon)) / ridges;
    const grain = noise(height, width, random.uniform(6, 30), 3, random);
    for (let x = 0; x < width; x++) {
      const top = Math.max(0, Math.round(base - (profile[x] - 0.5) * random.uniform(30, 31)));
      for (let y = top; y < height; y++) {
        for (let c = 0; c < 3; c++) rgb[(y * width + x) * 3 + c] = near[c] + (far[c] - near[c]) * grain[y * width + x];
      }
    }
  }
}

/** Discs and boxes of one colour each, more or less see-through. */
function discs({ height, width, rgb }: Canvas, random: Random): void {
  const count = 1 + random.integer(12);
  for (let i = 0; i < count; i++) {
    const [cx, cy] = [random.uniform(0, width), random.uniform(0, height)];
    const [rx, ry] = [random.uniform(4, width / 4), random.uniform(4, height / 4)];
    const power = random.next() < 0.6 ? 2 : 20;
    const paint = colour(random);
    const opacity = random.uniform(0.2, 1);
    for (let y = Math.max(0, Math.floor(cy - ry)); y < Math.min(height, cy + ry); y++) {
      for (let x = Math.max(0, Math.floor(cx - rx)); x < Math.min(width, cx + rx); x++) {
        if ((Math.abs(x - cx) / rx) ** power + (Math.abs(y - cy) / ry) ** power > 1) continue;
        for (let c = 0; c < 3; c++) {
          const at = (y * width + x) * 3 + c;
          rgb[at] += (paint[c] - rgb[at]) * opacity;
        }
      }
    }
  }
}

/** Unevenness that no flat drawing has: light and dark patches and fine grain. */
function mottle({ height, width, rgb }: Canvas, random: Random): void {
  const patches = noise(height, width, random.uniform(4, 60), 3, random);
  const strength = random.uniform(0, 0.5);
  for (let i = 0; i < patches.length; i++) {
    const factor = 1 + (patches[i] - 0.5) * 2 * strength;
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] *= factor;
  }
}
