import { join } from 'node:path';
import type { Raster } from '../../../../src/data/transforms/index.js';
import { compareNumbers, compareTensor, compareValues, type Line } from '../../compare.js';
import { SafetensorsFile } from '../../safetensors_file.js';
import { readJson } from '../json_file.js';
import { transformOf, type GoldenTransform } from './golden_transforms.js';
import { compareCutPolygons } from './polygons.js';

interface Case extends GoldenTransform {
  name: string;
  polygons_only?: number[][];
  out_image?: string;
  out_sem_seg?: string;
  out_height?: number;
  out_width?: number;
  out_boxes?: number[][];
  out_coords?: number[][];
  out_polygons?: number[][];
  out_rotated_boxes?: number[][];
  inverse_of_out_coords?: number[][];
  inverse_error?: string;
}

interface Input {
  image: string;
  sem_seg: string;
  boxes: number[][];
  coords: number[][];
  polygons: number[][];
  rotated_boxes: number[][];
}

/** Transforms of a picture and of all that lies in it. */
export async function runGeometric(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const { input, cases } = readJson<{ input: Input; cases: Case[] }>(folder, 'geometric.json');
  const file = new SafetensorsFile(join(folder, 'geometric.safetensors'));
  const raster = (name: string): Raster<Uint8Array> => {
    const { shape, data } = file.get(name);
    const [height, width, channels = 1] = shape as [number, number, number?];
    return { data: Uint8Array.from(data), height, width, channels };
  };
  const flat = (list: number[][]): Float64Array => Float64Array.from(list.flat());
  for (const c of cases) {
    const where = (name: string) => ({ case: caseName, name: `${c.name}/${name}` });
    const transform = transformOf(c);
    // Angles in between: OpenCV's fixed-point arithmetic.
    const turned = c.type === 'RotationTransform' && (c.params['angle'] as number) % 90 !== 0;
    if (c.polygons_only && c.out_polygons) {
      // Polygon 1 crosses itself: optional. Parts come in the order of the polygons, so its parts lie between those of the others.
      const cut = (list: number[][]): Float64Array[] => transform.applyPolygons(list.map((p) => Float64Array.from(p)));
      const before = cut(c.polygons_only.slice(0, 1));
      const after = cut(c.polygons_only.slice(2));
      const expected = [
        ...c.out_polygons.slice(0, before.length),
        ...c.out_polygons.slice(Math.max(before.length, c.out_polygons.length - after.length)),
      ];
      compareCutPolygons(where('polygons'), [...before, ...after], expected).forEach(add);
      continue;
    }
    if (c.out_image) {
      const out = transform.applyImage(raster(input.image));
      const shape = [out.height, out.width, out.channels];
      add(
        compareTensor(
          where('image'),
          { shape, data: out.data },
          file.get(c.out_image),
          turned ? { abs: 10, mean: 0.25 } : { abs: 0 },
        ),
      );
      add(compareValues(where('size'), [out.height, out.width], [c.out_height, c.out_width], { abs: 0 }));
    }
    if (c.out_sem_seg) {
      const out = transform.applyLabels(raster(input.sem_seg));
      const golden = file.get(c.out_sem_seg);
      const different = out.data.reduce((n: number, v, i) => n + (v === golden.data[i] ? 0 : 1), 0);
      const allowed = turned ? 0.02 * out.data.length : 0;
      add({
        ...where('sem_seg'),
        tolerance: turned ? '2 % of the pixels' : 'exact',
        maxAbs: different,
        ok: out.data.length === golden.data.length && different <= allowed,
      });
    }
    if (c.out_boxes)
      add(compareNumbers(where('boxes'), transform.applyBoxes(flat(input.boxes)), c.out_boxes.flat(), { abs: 1e-6 }));
    const points = transform.applyCoordinates(flat(input.coords));
    if (c.out_coords) add(compareNumbers(where('coords'), points, c.out_coords.flat(), { abs: 1e-6 }));
    if (c.out_polygons) {
      const actual = transform.applyPolygons(input.polygons.map((p) => Float64Array.from(p)));
      if (c.type === 'CropTransform') compareCutPolygons(where('polygons'), actual, c.out_polygons).forEach(add);
      else
        add(
          compareValues(
            where('polygons'),
            actual.map((p) => [...p]),
            c.out_polygons,
            { abs: 1e-6 },
          ),
        );
    }
    if (c.out_rotated_boxes) {
      const actual = transform.applyRotatedBoxes(flat(input.rotated_boxes));
      const expected = c.out_rotated_boxes.flat();
      // Angles count modulo 360.
      const near = actual.map((v, i) => (i % 5 === 4 ? v + 360 * Math.round((expected[i]! - v) / 360) : v));
      add(compareNumbers(where('rotated_boxes'), near, expected, { abs: 1e-3 }));
    }
    if (c.inverse_of_out_coords)
      add(
        compareNumbers(where('inverse'), transform.inverse().applyCoordinates(points), c.inverse_of_out_coords.flat(), {
          abs: 1e-6,
        }),
      );
    if (c.inverse_error) {
      let message = '';
      try {
        transform.inverse();
      } catch (error) {
        message = (error as Error).message;
      }
      add({ ...where('inverse_error'), tolerance: 'an error', ok: message !== '', ...(message ? { note: message } : {}) });
    }
  }
}
