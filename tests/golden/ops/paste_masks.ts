import * as tf from '@tensorflow/tfjs-core';
import { pasteSoftMask } from '../../../src/ops/mask_paste/mask_paste.js';
import { pasteMasks as paste, unpackMasks } from '../../../src/ops/mask_paste/paste_masks.js';
import { compareTensor, type Line } from '../compare.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Bitmaps at a threshold, and the samples that it is compared with, in full-image size. */
export const pasteMasks: OpsAdapter = {
  purpose: 'inference',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    const height = view.required<number>('height');
    const width = view.required<number>('width');
    if (view.wants('shape')) return { shape: { value: [0, height, width] } };
    const masks = view.input('masks');
    const boxes = view.float32('boxes');
    const [count, size] = [masks.shape[0]!, masks.shape[1]!];
    const values = Float32Array.from(masks.data);
    const tensor = tf.tensor3d(values, [count, size, size]);
    const words = paste(tensor, boxes, height, width, view.required<number>('threshold'));
    const out = unpackMasks(words.size === 0 ? new Float32Array(0) : await words.data<'float32'>(), height, width);
    tf.dispose([tensor, words]);
    const shape = [count, height, width];
    if (!view.wants('soft')) return { masks: { shape, data: out } };
    const soft = new Uint8Array(count * height * width);
    for (let i = 0; i < count; i++) {
      const mask = values.subarray(i * size * size, (i + 1) * size * size);
      const fading = pasteSoftMask(mask, size, boxes.subarray(i * 4, i * 4 + 4), height, width);
      const cropWidth = fading.x1 - fading.x0;
      for (let y = fading.y0; y < fading.y1; y++) {
        const row = fading.bitmap.subarray((y - fading.y0) * cropWidth, (y - fading.y0 + 1) * cropWidth);
        soft.set(row, (i * height + y) * width + fading.x0);
      }
    }
    return { masks: { shape, data: out }, soft: { shape, data: soft } };
  },

  /** Pixels whose soft value lies next to the threshold may differ, and soft values by one; the other outputs are compared as usual. */
  compare(view: CaseView, where: { case: string; name: string }, actual: OpsOutput): Line | undefined {
    if (where.name === 'soft' && !('value' in actual)) {
      const golden = view.output('soft');
      return 'tensor' in golden ? compareTensor(where, actual, golden.tensor, { abs: 1 }) : undefined;
    }
    if (where.name !== 'masks' || 'value' in actual || !view.wants('soft')) return undefined;
    const expected = view.output('masks');
    const soft = view.output('soft');
    if (!('tensor' in expected) || !('tensor' in soft)) return undefined;
    let onEdge = 0;
    let bad = 0;
    for (let i = 0; i < expected.tensor.data.length; i++) {
      if (!actual.data[i] === !expected.tensor.data[i]) continue;
      const value = soft.tensor.data[i]!;
      if (value === 127 || value === 128) onEdge++;
      else bad++;
    }
    const ok = bad === 0 && actual.data.length === expected.tensor.data.length;
    const note = `${bad} pixels differ, ${onEdge} at soft 127 or 128`;
    return { ...where, maxAbs: bad, tolerance: 'exact but at soft 127, 128', ok, note };
  },
};
