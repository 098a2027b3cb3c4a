import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { resizeBilinear, resizeNearest, resizeNearestLabels, resizeShortestEdgeShape } from '../../../src/data/resize/resize.js';
import { resizeBilinearFloat } from '../../../src/data/resize/resize_float.js';
import { compareNumbers, compareTensor, type Line } from '../compare.js';
import { SafetensorsFile } from '../safetensors_file.js';
import { readJson } from './json_file.js';

interface Case {
  name: string;
  input: string;
  kind: 'image' | 'segmentation';
  new_h: number;
  new_w: number;
  dtype: string;
  shape: number[];
  sha256: string;
  output?: string;
  patches?: { key: string; y0: number; x0: number }[];
}

/** Pillow-exact bilinear on uint8, label maps, float pictures, and the table of output shapes. */
export async function runResize(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const { cases } = readJson<{ cases: Case[] }>(folder, 'cases.json');
  const file = new SafetensorsFile(join(folder, 'resize.safetensors'));
  for (const c of cases) {
    const input = file.get(c.input);
    const [height, width, channels = 1] = input.shape as [number, number, number?];
    if (c.kind !== 'image' || c.dtype !== 'uint8') {
      const data = resizeOther(c, input.data, height, width, channels);
      const tolerance = { abs: c.kind === 'image' ? 1e-3 : 0 };
      add(compareTensor({ case: caseName, name: c.name }, { shape: c.shape, data }, file.get(c.output!), tolerance));
      continue;
    }
    const data = resizeBilinear({ data: Uint8Array.from(input.data), height, width, channels }, c.new_h, c.new_w);
    const where = { case: caseName, name: c.name };
    if (c.output) add(compareTensor(where, { shape: c.shape, data }, file.get(c.output), { abs: 0 }));
    else {
      const sha256 = createHash('sha256').update(data).digest('hex');
      const note = sha256 === c.sha256 ? {} : { note: `sha256 ${sha256.slice(0, 12)}, expected ${c.sha256.slice(0, 12)}` };
      add({ ...where, tolerance: 'exact (sha256)', ok: sha256 === c.sha256, ...note });
    }
    for (const patch of c.patches ?? []) {
      const golden = file.get(patch.key);
      const [h, w] = golden.shape as [number, number];
      const values: number[] = [];
      for (let y = 0; y < h; y++)
        for (let k = 0; k < w * channels; k++) values.push(data[((patch.y0 + y) * c.new_w + patch.x0) * channels + k]!);
      add(compareNumbers({ case: caseName, name: patch.key }, values, golden.data, { abs: 0 }));
    }
  }
  if (!existsSync(join(folder, 'output_shapes.json'))) return;
  const table = readJson<{ columns: string[]; rows: number[][] }>(folder, 'output_shapes.json');
  const column = (...names: string[]): number => table.columns.findIndex((c) => names.includes(c));
  const arguments_ = [column('h'), column('w'), column('short_edge_length', 'min_size'), column('max_size')];
  const results = [column('new_h'), column('new_w')];
  const actual = table.rows.flatMap((row) =>
    resizeShortestEdgeShape(...(arguments_.map((k) => row[k]!) as [number, number, number, number])),
  );
  const expected = table.rows.flatMap((row) => results.map((k) => row[k]!));
  add(compareNumbers({ case: caseName, name: 'output_shapes' }, actual, expected, { abs: 0 }));
}

function resizeOther(c: Case, data: ArrayLike<number>, height: number, width: number, channels: number): ArrayLike<number> {
  const size = { height, width, channels };
  if (c.kind === 'image') return resizeBilinearFloat({ data: Float32Array.from(data), ...size }, c.new_h, c.new_w);
  if (c.dtype === 'uint8') return resizeNearest({ data: Uint8Array.from(data), ...size }, c.new_h, c.new_w);
  return resizeNearestLabels({ data: Float64Array.from(data), ...size }, c.new_h, c.new_w);
}
