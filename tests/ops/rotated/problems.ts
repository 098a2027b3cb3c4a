import * as tf from '@tensorflow/tfjs-core';
import { Random } from '../../../src/data/random.js';
import { readKept } from '../../../src/ops/nms/batched_nms.js';
import { readBacks } from '../../../src/ops/read_back.js';
import { batchedRotatedNmsOnDevice, rotatedIouOnDevice } from '../../../src/ops/rotated/boxes_on_device.js';
import { rotatedIou } from '../../../src/ops/rotated/iou.js';
import { batchedRotatedNms } from '../../../src/ops/rotated/nms.js';
import { maxDifference } from '../max_difference.js';

/** Boxes around few places, turned by anything, some of them without area, some upright and alike. */
function turned(count: number, seed: number): Float32Array {
  const random = new Random(seed);
  const places = Array.from({ length: Math.ceil(count / 8) }, () => [random.uniform(0, 300), random.uniform(0, 200)]);
  const rows = Array.from({ length: count }, (_, i) => {
    const [x, y] = places[random.integer(places.length)];
    if (i % 19 === 0) return [x, y, 0, 12, 40];
    if (i % 7 === 0) return [Math.round(x), Math.round(y), 16, 8, 90 * random.integer(4)];
    const at = [x + random.uniform(-5, 5), y + random.uniform(-5, 5)];
    return [...at, random.uniform(4, 60), random.uniform(4, 60), random.uniform(-400, 400)];
  });
  return Float32Array.from(rows.flat());
}

/** The overlaps of the running backend beside those of the host. */
export async function compareOverlaps(): Promise<{
  shape: number[];
  newTensors: number;
  /** Pairs that share something. */
  overlapping: number;
  difference: number;
}> {
  const all = turned(160, 1);
  const [a, b] = [all.slice(0, 5 * 90), all.slice(5 * 90)];
  const inputs = [tf.tensor2d(a, [90, 5]), tf.tensor2d(b, [70, 5])] as const;
  const before = tf.memory().numTensors;
  const iou = rotatedIouOnDevice(...inputs);
  const values = await iou.data();
  const newTensors = tf.memory().numTensors - before;
  const expected = rotatedIou(a, b);
  tf.dispose([...inputs, iou]);
  const overlapping = expected.filter((v) => v > 0.05).length;
  return { shape: iou.shape, newTensors, overlapping, difference: maxDifference(values, expected) };
}

/** What the running backend keeps of boxes in groups, with equal scores and two rows that are not finite, beside what the host keeps. */
export async function compareSuppression(iouThreshold: number): Promise<{
  kept: number[];
  expected: number[];
  count: number;
  newTensors: number;
  reads: number;
}> {
  const count = 420;
  const random = new Random(3);
  const boxes = turned(count, 4);
  const scores = Float32Array.from({ length: count }, () => random.integer(60) / 60);
  const groups = Int32Array.from({ length: count }, () => random.integer(3));
  const inputs = [
    tf.tensor2d(Float32Array.of(...boxes, NaN, 0, 1, 1, 0, 5, 5, 4, 4, 0), [count + 2, 5]),
    tf.tensor1d(Float32Array.of(...scores, 2, -Infinity)),
    tf.tensor1d(Int32Array.of(...groups, 0, 1), 'int32'),
  ] as const;
  const [before, readsBefore] = [tf.memory().numTensors, readBacks.count];
  const out = batchedRotatedNmsOnDevice(...inputs, { iouThreshold });
  if (out.shape[0] !== count + 3) throw new Error(`${out.shape[0]} numbers instead of ${count + 3}`);
  const kept = [...(await readKept(out))];
  out.dispose();
  const [newTensors, reads] = [tf.memory().numTensors - before, readBacks.count - readsBefore];
  tf.dispose([...inputs]);
  return { kept, expected: [...batchedRotatedNms(boxes, scores, groups, iouThreshold)], count, newTensors, reads };
}
