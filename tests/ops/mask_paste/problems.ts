import * as tf from '@tensorflow/tfjs-core';
import { Random } from '../../../src/data/random.js';
import { pasteMask } from '../../../src/ops/mask_paste/mask_paste.js';
import { pasteMasks, unpackMasks } from '../../../src/ops/mask_paste/paste_masks.js';

/** Inside, beyond the picture, tiny, without area. */
const BOXES = [[3.2, 4.7, 40.1, 30.9], [-20, -5, 12.5, 60], [45, 30, 90, 80], [10.1, 10.2, 10.6, 11.9], [5, 5, 5, 9], [200, 0, 210, 9]]; // prettier-ignore

/** Masks that the running backend pastes, beside the plain function: how many pixels are set, and how many differ. */
export async function comparePaste(): Promise<{ shape: number[]; set: number; wrong: number; newTensors: number }> {
  const [size, height, width] = [7, 41, 53];
  const random = new Random(9);
  const values = Float32Array.from({ length: BOXES.length * size * size }, () => random.uniform(0, 1));
  // The first is the threshold throughout, which counts.
  values.fill(0.5, 0, size * size);
  const before = tf.memory().numTensors;
  const masks = tf.tensor3d(values.slice(), [BOXES.length, size, size]);
  const words = pasteMasks(masks, Float32Array.from(BOXES.flat()), height, width);
  const found = unpackMasks((await words.data()) as Float32Array, height, width);
  tf.dispose([masks, words]);
  const expected = new Uint8Array(found.length);
  BOXES.forEach((box, d) => {
    const crop = pasteMask(values.subarray(d * size * size, (d + 1) * size * size), size, box, height, width);
    for (let y = crop.y0, at = 0; y < crop.y1; y++)
      for (let x = crop.x0; x < crop.x1; x++, at++) expected[(d * height + y) * width + x] = crop.bitmap[at];
  });
  return {
    shape: words.shape,
    set: expected.filter(Boolean).length,
    wrong: expected.filter((pixel, i) => pixel !== found[i]).length,
    newTensors: tf.memory().numTensors - before,
  };
}
