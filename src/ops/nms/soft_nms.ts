import { ArgumentError } from '../../errors.js';

/** How scores decay (Bodla et al. 2017). */
export interface SoftNmsDecay {
  /** `linear`: times 1 - IoU where the IoU is above the IoU threshold; `gaussian`: times exp(-IoU^2 / sigma), whatever the IoU. */
  readonly method: 'linear' | 'gaussian';
  /** For `gaussian`, above 0. */
  readonly sigma: number;
}

export interface SoftNmsOptions extends SoftNmsDecay {
  /** For `linear`, from 0 to 1. */
  readonly iouThreshold: number;
  /** Boxes need a score above this, at first and once it has decayed. */
  readonly scoreThreshold: number;
  /** At most so many boxes are selected; all unless given. */
  readonly most?: number;
}

/** The boxes that remain and what their scores have become, in order of selection, which is that of their scores. */
export interface SoftNmsResult {
  readonly indices: Int32Array<ArrayBuffer>;
  readonly scores: Float32Array<ArrayBuffer>;
}

/** Intersection over union in float64; 0 for two boxes without area. */
function iou(boxes: Float32Array, i: number, j: number): number {
  const [a, b] = [4 * i, 4 * j];
  const width = Math.min(boxes[a + 2], boxes[b + 2]) - Math.max(boxes[a], boxes[b]);
  const height = Math.min(boxes[a + 3], boxes[b + 3]) - Math.max(boxes[a + 1], boxes[b + 1]);
  if (!(width > 0 && height > 0)) return 0;
  const inter = width * height;
  const area = (k: number) => (boxes[k + 2] - boxes[k]) * (boxes[k + 3] - boxes[k + 1]);
  return inter / (area(a) + area(b) - inter);
}

function checkArguments(boxes: Float32Array, scores: Float32Array, groups: Int32Array, o: SoftNmsOptions): void {
  if (boxes.length !== 4 * scores.length) {
    throw new ArgumentError(`Soft-NMS: ${boxes.length} box coordinates for ${scores.length} scores; expected 4 for each.`);
  }
  if (groups.length !== scores.length) {
    throw new ArgumentError(`Soft-NMS: ${groups.length} groups for ${scores.length} boxes; expected one each.`);
  }
  if (o.method === 'gaussian' && !(o.sigma > 0))
    throw new ArgumentError(`Soft-NMS: sigma is ${o.sigma}; expected a positive number.`);
  if (o.method === 'linear' && !(o.iouThreshold >= 0))
    throw new ArgumentError(`Soft-NMS: the IoU threshold is ${o.iouThreshold}; expected a number from 0 to 1.`);
}

/**
 * Soft non-maximum suppression within groups (classes): takes the box with the highest current score (the first of equals), lets the scores of the others
 * of its group decay by their overlap with it, and goes on until no score is above the threshold.
 *
 * Scores only fall. So boxes wait in a heap by the last score that is known of them, and only the one on top is brought up to date: with what was
 * selected in its group since. The products are formed in the order of selection, as if every selection had reached all at once.
 * @param boxes  [N, 4] as (x0, y0, x1, y1), finite
 * @param scores [N], finite; not changed
 * @param groups [N] group of each box
 * @throws ArgumentError for lengths that do not fit, a sigma that is not positive or an IoU threshold that is negative
 */
export function softNms(boxes: Float32Array, scores: Float32Array, groups: Int32Array, o: SoftNmsOptions): SoftNmsResult {
  checkArguments(boxes, scores, groups, o);
  const threshold = Math.fround(o.scoreThreshold);
  const current = Float64Array.from(scores);
  const isAbove = (i: number): boolean => Math.fround(current[i]) > threshold;
  const selected = new Map<number, number[]>();
  for (const group of groups) if (!selected.has(group)) selected.set(group, []);
  /** How many of its group's selections each score knows of. */
  const known = new Int32Array(scores.length);
  const heap = new BestFirst(current, isAbove);
  const most = o.most ?? scores.length;
  const chosen: number[] = [];
  while (heap.size > 0 && chosen.length < most) {
    const best = heap.best;
    const others = selected.get(groups[best])!;
    const before = current[best];
    for (; known[best] < others.length; known[best]++) {
      const overlap = iou(boxes, others[known[best]], best);
      if (o.method === 'gaussian') current[best] *= Math.exp((-overlap * overlap) / o.sigma);
      else if (overlap > o.iouThreshold) current[best] *= 1 - overlap;
    }
    if (current[best] === before) {
      chosen.push(best);
      others.push(best);
      heap.remove();
    } else if (isAbove(best)) heap.sink();
    else heap.remove();
  }
  return { indices: Int32Array.from(chosen), scores: Float32Array.from(chosen, (i) => current[i]) };
}

/** A heap of indices: the highest value on top, of equal ones the lowest index. */
class BestFirst {
  private readonly heap: Int32Array;
  size: number;

  constructor(
    private readonly values: Float64Array,
    counts: (index: number) => boolean,
  ) {
    this.heap = Int32Array.from(values.keys()).filter(counts);
    this.size = this.heap.length;
    for (let at = (this.size >> 1) - 1; at >= 0; at--) this.sink(at);
  }

  get best(): number {
    return this.heap[0];
  }

  /** Takes the best away. */
  remove(): void {
    this.heap[0] = this.heap[--this.size];
    this.sink();
  }

  /** Lets an entry whose value has fallen find its place. */
  sink(at = 0): void {
    const { heap, size } = this;
    const own = heap[at];
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.isBetter(heap[child + 1], heap[child])) child++;
      if (!this.isBetter(heap[child], own)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = own;
  }

  private isBetter(i: number, j: number): boolean {
    return this.values[i] > this.values[j] || (this.values[i] === this.values[j] && i < j);
  }
}
