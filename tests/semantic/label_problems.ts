import * as tf from '@tensorflow/tfjs-core';
import { Random } from '../../src/data/random.js';
import { PendingRead, readTogether } from '../../src/ops/read_back.js';
import { semanticLabels } from '../../src/semantic/semantic_labels.js';

/** Plain loops: each picture's part of the logits, resized bilinearly with half-pixel centres, and the first of the largest. */
function labelsByLoops(
  logits: Float32Array,
  [, height, width, classes]: readonly number[],
  inputs: Size[],
  outputs: Size[],
): number[] {
  return inputs.flatMap(([ownHeight, ownWidth], image) => {
    const [outHeight, outWidth] = outputs[image];
    return Array.from({ length: outHeight * outWidth }, (_, index) => {
      const place = (pixel: number, own: number, out: number): [low: number, high: number, part: number] => {
        const at = Math.min(Math.max(((pixel + 0.5) * own) / out - 0.5, 0), own - 1);
        return [Math.floor(at), Math.min(Math.floor(at) + 1, own - 1), at - Math.floor(at)];
      };
      const [top, bottom, down] = place(Math.floor(index / outWidth), ownHeight, outHeight);
      const [left, right, across] = place(index % outWidth, ownWidth, outWidth);
      const value = (y: number, x: number, k: number): number => logits[((image * height + y) * width + x) * classes + k];
      let best = 0;
      let largest = -Infinity;
      for (let k = 0; k < classes; k++) {
        const upper = value(top, left, k) * (1 - across) + value(top, right, k) * across;
        const lower = value(bottom, left, k) * (1 - across) + value(bottom, right, k) * across;
        const sum = upper * (1 - down) + lower * down;
        if (sum > largest) [best, largest] = [k, sum];
      }
      return best;
    });
  });
}

type Size = [height: number, width: number];

/** Pixels of two pictures, one enlarged and one made smaller, that the running backend classes otherwise than the loops; and as read beside other values. */
export async function differentLabels(): Promise<{ different: number; joined: number }> {
  const shape: [number, number, number, number] = [2, 12, 16, 5];
  const random = new Random(4);
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.uniform(-1, 1));
  const inputs: Size[] = [[12, 10], [9, 16]]; // prettier-ignore
  const outputs: Size[] = [[31, 27], [6, 13]]; // prettier-ignore
  const logits = tf.tensor4d(values.slice(), shape);
  const labels = semanticLabels(logits, inputs, outputs);
  const pending = new PendingRead(labels);
  const [other] = await readTogether([logits], [pending]);
  const found = await pending.settle();
  tf.dispose([logits, labels]);
  const expected = labelsByLoops(values, shape, inputs, outputs);
  return {
    different: expected.filter((label, i) => label !== found[i]).length + Math.abs(found.length - expected.length),
    joined: other.filter((value, i) => value !== values[i]).length,
  };
}
