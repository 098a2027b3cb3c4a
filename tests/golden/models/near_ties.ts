import type { HostTensor } from '../layout.js';
import type { GoldenTensor } from '../safetensors_file.js';

/** Tensors with one row per proposal, all images one after another; those of a cascade with their stage. */
const ROWS_PER_PROPOSAL = /^(box_pooled|box_head|cls_logits|box_deltas)([.#]\d+)?$/;

/** The golden proposals of one image. */
export interface GoldenProposals {
  readonly boxes: GoldenTensor;
  readonly logits: GoldenTensor;
  readonly boxTolerance: number;
  readonly logitTolerance: number;
}

/**
 * Two proposals whose objectness differs by less than the stored tolerance may stand in either order: the tolerance says that float32 cannot tell.
 * Puts ours in the golden order where that is all that differs, and says which rows moved; every value is compared afterwards as usual.
 * @param traced changed in place: proposals and what has one row for each of them
 */
export function alignNearTies(traced: Map<string, HostTensor>, golden: readonly (GoldenProposals | undefined)[]): string {
  const moved: string[] = [];
  const orders: number[][] = [];
  golden.forEach((expected, image) => {
    const boxes = traced.get(`proposals.${image}.boxes`);
    const logits = traced.get(`proposals.${image}.objectness_logits`);
    if (!boxes || !logits) return;
    const order = (expected && orderLike(boxes, logits, expected)) ?? Array.from(logits.data, (_, i) => i);
    order.forEach((row, i) => row !== i && moved.push(`${image}:${row}`));
    orders.push(order);
    traced.set(`proposals.${image}.boxes`, permuteRows(boxes, order));
    traced.set(`proposals.${image}.objectness_logits`, permuteRows(logits, order));
  });
  if (moved.length === 0) return '';
  const count = orders.reduce((sum, order) => sum + order.length, 0);
  for (const [name, tensor] of traced) {
    const rows = tensor.shape[0];
    if (!ROWS_PER_PROPOSAL.test(name) || rows < count) continue;
    // A GPU fills up every image's proposals to the same number.
    const all = Array.from({ length: rows }, (_, i) => i);
    let next = 0;
    orders.forEach((order, image) => {
      const first = rows === count ? next : (image * rows) / orders.length;
      order.forEach((row, i) => (all[first + i] = first + row));
      next += order.length;
    });
    traced.set(name, permuteRows(tensor, all));
  }
  return `near ties in the other order: ${moved.join(' ')}`;
}

/** Our row for each golden row, or nothing where no exchange of near ties explains the difference. */
function orderLike(boxes: HostTensor, logits: HostTensor, golden: GoldenProposals): number[] | undefined {
  const count = logits.data.length;
  if (golden.logits.data.length !== count) return undefined;
  const taken = new Uint8Array(count);
  const fits = (row: number, goldenRow: number): boolean => {
    if (taken[row] || !(Math.abs(logits.data[row] - golden.logits.data[goldenRow]) <= golden.logitTolerance)) return false;
    for (let k = 0; k < 4; k++) {
      if (!(Math.abs(boxes.data[row * 4 + k] - golden.boxes.data[goldenRow * 4 + k]) <= golden.boxTolerance)) return false;
    }
    return true;
  };
  const order: number[] = [];
  for (let goldenRow = 0; goldenRow < count; goldenRow++) {
    let row = fits(goldenRow, goldenRow) ? goldenRow : -1;
    for (let distance = 1; row < 0 && distance < count; distance++) {
      const [before, after] = [goldenRow - distance, goldenRow + distance];
      if (after < count && fits(after, goldenRow)) row = after;
      else if (before >= 0 && fits(before, goldenRow)) row = before;
    }
    if (row < 0) return undefined;
    taken[row] = 1;
    order.push(row);
  }
  return order;
}

function permuteRows(tensor: HostTensor, order: readonly number[]): HostTensor {
  const width = tensor.shape.slice(1).reduce((a, b) => a * b, 1);
  const data = new Float32Array(tensor.data.length);
  order.forEach((from, to) => {
    for (let i = 0; i < width; i++) data[to * width + i] = tensor.data[from * width + i];
  });
  return { shape: tensor.shape, data };
}
