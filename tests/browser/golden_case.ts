import { readFileSync } from 'node:fs';
import { decodeRle, rleFromString } from '../../src/data/rle/rle.js';
import { bitmapIou } from '../golden/compare.js';
import { SafetensorsFile } from '../golden/safetensors_file.js';

const folder = new URL('../fixtures/mask_rcnn_R_18_FPN/', import.meta.url);

interface Manifest {
  single: { final: { height: number; width: number; masks_rle: { size: [number, number]; counts: string }[] }[] };
  tensors: Record<string, { atol?: number }>;
}

const manifest = JSON.parse(readFileSync(new URL('golden.json', folder), 'utf8')) as Manifest;
const golden = new SafetensorsFile(new URL('golden.safetensors', folder).pathname);

/** A result as a page hands it over. */
export interface PageResult {
  boxes: number[];
  scores: number[];
  classes: number[];
  masks: { size: [number, number]; counts: string }[];
}

/** What of the recorded case's first picture is beyond its stored tolerances; nothing where all is right. */
export function differences(result: PageResult): string[] {
  const found: string[] = [];
  const compare = (name: string, values: number[]): void => {
    const wanted = golden.get(`single.final.0.${name}`).data;
    if (values.length !== wanted.length) return void found.push(`${name}: ${values.length} values, expected ${wanted.length}`);
    const worst = values.reduce((max, value, i) => Math.max(max, Math.abs(value - wanted[i])), 0);
    const tolerance = manifest.tensors[`single.final.0.${name}`].atol ?? 0;
    if (!(worst <= tolerance)) found.push(`${name}: off by ${worst}, tolerance ${tolerance}`);
  };
  compare('pred_boxes', result.boxes);
  compare('scores', result.scores);
  compare('pred_classes', result.classes);
  manifest.single.final[0].masks_rle.forEach(({ size, counts }, i) => {
    const mask = result.masks[i];
    if (!mask) return void found.push(`mask ${i} is missing`);
    const iou = bitmapIou(decodeRle(rleFromString(mask.counts, mask.size)), decodeRle(rleFromString(counts, size)));
    if (iou < 0.995) found.push(`mask ${i}: IoU ${iou}`);
  });
  return found;
}
