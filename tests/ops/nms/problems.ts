import * as tf from '@tensorflow/tfjs-core';
import { Random } from '../../../src/data/random.js';
import { BackendError } from '../../../src/errors.js';
import { batchedNmsOnDevice, readKept } from '../../../src/ops/nms/batched_nms.js';
import { batchedNmsReference } from '../../../src/ops/nms/reference.js';
import type { SoftNmsOptions } from '../../../src/ops/nms/soft_nms.js';

/** Boxes with scores and groups. */
export interface Boxes {
  boxes: Float32Array;
  scores: Float32Array;
  groups: Int32Array;
}

const f = Math.fround;

/** Boxes around few places, few different scores, so that many are equal. */
export function clustered(count: number, groupCount: number, seed: number): Boxes {
  const random = new Random(seed);
  const boxes = new Float32Array(4 * count);
  const places = Array.from({ length: Math.ceil(count / groupCount / 5) }, () => [
    random.uniform(0, 800),
    random.uniform(0, 600),
  ]);
  for (let i = 0; i < count; i++) {
    const [x, y] = places[random.integer(places.length)];
    const [left, top] = [x + random.uniform(-6, 6), y + random.uniform(-6, 6)];
    boxes.set([left, top, left + random.uniform(15, 40), top + random.uniform(15, 40)], 4 * i);
  }
  const scores = Float32Array.from({ length: count }, () => random.integer(500) / 499);
  // Both zeros are one score.
  scores.forEach((score, i) => (scores[i] = score === 0 && i % 2 ? -0 : score));
  return { boxes, scores, groups: Int32Array.from({ length: count }, () => random.integer(groupCount)) };
}

/** The next float32 but `steps`. */
function neighbour(value: number, steps: number): number {
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0] += steps;
  return new Float32Array(bits.buffer)[0];
}

/** Pairs, each a group of its own, whose IoU is the threshold or differs from it by a few last bits; more of them than are moved apart. */
export function doubtful(threshold: number, seed: number): Boxes {
  const random = new Random(seed);
  const rows: number[] = [];
  for (let pair = 0; pair < 600; pair++) {
    const [width, height] = [f(random.uniform(1, 900)), f(random.uniform(1, 900))];
    const narrower = neighbour(f(width * threshold), random.integer(9) - 4);
    rows.push(0, 0, width, height, 0, 0, narrower, height);
  }
  const count = rows.length / 4;
  return {
    boxes: Float32Array.from(rows),
    scores: Float32Array.from({ length: count }, (_, i) => 1 - i / count),
    groups: Int32Array.from({ length: count }, (_, i) => i >> 1),
  };
}

/** What is to be compared on every backend, in Node and in browsers. */
export const PROBLEMS: Record<string, { threshold: number; make: () => Boxes }> = {
  'groups that are moved apart': { threshold: 0.5, make: () => clustered(900, 40, 1) },
  'groups told apart by their numbers': { threshold: 0.3, make: () => clustered(1500, 7, 2) },
  '20,000 boxes of 20 groups': { threshold: 0.4, make: () => clustered(20_000, 20, 3) },
  ...Object.fromEntries(
    [0.3, 0.5, 0.7, 1 / 3, f(0.9)].map((threshold, i) => [
      `pairs about a threshold of ${threshold}`,
      { threshold, make: () => doubtful(threshold, 4 + i) },
    ]),
  ),
};

export interface Kept {
  kept: number[];
  expected: number[];
  count: number;
  newTensors: number;
}

/** What the running backend keeps of a problem, and what the plain loops keep. */
export async function keptOf(name: string): Promise<Kept> {
  const { threshold, make } = PROBLEMS[name];
  const { boxes, scores, groups } = make();
  const inputs = [tf.tensor2d(boxes, [scores.length, 4]), tf.tensor1d(scores), tf.tensor1d(groups, 'int32')] as const;
  const before = tf.memory().numTensors;
  const out = batchedNmsOnDevice(...inputs, { iouThreshold: threshold });
  const kept = [...(await readKept(out))];
  const newTensors = tf.memory().numTensors - before;
  tf.dispose([...inputs, out]);
  return { kept, expected: batchedNmsReference(boxes, scores, groups, threshold), count: scores.length, newTensors };
}

/** What the running backend says to 200,000 boxes, and how many tensors that leaves. */
export function refusalOfTooMany(): { message: string; newTensors: number } {
  const inputs = [tf.zeros<tf.Rank.R2>([200_000, 4]), tf.zeros<tf.Rank.R1>([200_000])] as const;
  const before = tf.memory().numTensors;
  let message = '';
  try {
    batchedNmsOnDevice(...inputs, undefined, { iouThreshold: 0.5 }).dispose();
  } catch (error) {
    message = error instanceof BackendError ? error.message : `not a BackendError: ${String(error)}`;
  }
  const newTensors = tf.memory().numTensors - before;
  tf.dispose([...inputs]);
  return { message, newTensors };
}

/** The paper's loop as it stands, every selection reaches all that are left at once. */
export function plainSoftNms(
  boxes: Float32Array,
  scores: Float32Array,
  groups: Int32Array,
  o: SoftNmsOptions,
): [number, number][] {
  const iou = (i: number, j: number): number => {
    const side = (k: number): number =>
      Math.max(0, Math.min(boxes[4 * i + 2 + k], boxes[4 * j + 2 + k]) - Math.max(boxes[4 * i + k], boxes[4 * j + k]));
    const area = (n: number): number => (boxes[4 * n + 2] - boxes[4 * n]) * (boxes[4 * n + 3] - boxes[4 * n + 1]);
    const shared = side(0) * side(1);
    return shared / (area(i) + area(j) - shared);
  };
  const current = Float64Array.from(scores);
  const open = new Set(scores.keys());
  const chosen: [number, number][] = [];
  for (;;) {
    let best = -1;
    for (const i of open)
      if (Math.fround(current[i]) > Math.fround(o.scoreThreshold) && (best < 0 || current[i] > current[best])) best = i;
    if (best < 0) return chosen.slice(0, o.most);
    open.delete(best);
    chosen.push([best, Math.fround(current[best])]);
    for (const i of open) {
      if (groups[i] !== groups[best]) continue;
      const overlap = iou(best, i);
      if (o.method === 'gaussian') current[i] *= Math.exp((-overlap * overlap) / o.sigma);
      else if (overlap > o.iouThreshold) current[i] *= 1 - overlap;
    }
  }
}
