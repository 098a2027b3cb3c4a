import { maskBox } from '../../../src/data/annotations/instances.js';
import { polygonArea } from '../../../src/data/polygon_area.js';
import { polygonsToRle } from '../../../src/data/rle/polygon_to_rle.js';
import { decodeRle } from '../../../src/data/rle/rle.js';
import { maskTarget } from '../../../src/roi_heads/mask_targets.js';
import type { MaskAnnotation } from '../../../src/structures/training_sample.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Targets of the mask head from polygons and from bitmaps, and whole bitmaps. */
export const rasterizePolygons: OpsAdapter = {
  purpose: 'training',
  async run(view: CaseView) {
    if (view.owns('masks')) return cropBitmaps(view);
    const polygons = view.required<number[][]>('polygons').map((p) => Float64Array.from(p));
    const box = Float32Array.from(view.required<number[]>('box'));
    const [height, width] = view.required<[number, number]>('bitmask_size');
    return {
      area: { value: polygons.reduce((sum, polygon) => sum + polygonArea(polygon), 0) },
      bounding_box: { value: [...Float32Array.from(maskBox({ kind: 'polygons', polygons }, width))] },
      mask28: target({ kind: 'polygons', polygons }, box, 28, width),
      mask14: target({ kind: 'polygons', polygons }, box, 14, width),
      bitmask: { shape: [height, width], data: decodeRle(polygonsToRle(polygons, height, width)) },
    };
  },
};

function target(mask: MaskAnnotation, box: Float32Array, size: number, width: number): { shape: number[]; data: Float32Array } {
  const data = new Float32Array(size * size);
  maskTarget(mask, box, 0, size, width, data, 0);
  return { shape: [size, size], data };
}

function cropBitmaps(view: CaseView): Record<string, OpsOutput> {
  const { data, shape } = view.input('masks');
  const [count, height, width] = shape as [number, number, number];
  const size = view.required<number>('mask_size');
  const boxes = view.float32('boxes');
  const out = new Float32Array(count * size * size);
  const around = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const bitmap = Uint8Array.from(data.slice(i * height * width, (i + 1) * height * width));
    const mask = target({ kind: 'bitmap', bitmap }, boxes.subarray(i * 4, i * 4 + 4), size, width);
    out.set(mask.data, i * size * size);
    around.set(maskBox({ kind: 'bitmap', bitmap }, width), i * 4);
  }
  return { bounding_boxes: { shape: [count, 4], data: around }, out: { shape: [count, size, size], data: out } };
}
