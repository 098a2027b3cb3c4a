/** Entries of a list sorted into slots: one a category, or one for all where categories are not told apart. */
export interface Slots {
  /** Numbers into the caller's list. */
  order: Int32Array;
  /** Positions into `order`, one more than there are slots. */
  start: Int32Array;
}

/**
 * Sorts entries by slot, then by descending score where there are scores, then image, category, place in the list: the order in which COCO's
 * evaluation meets them, ties included. Radix sorts, so linear in the number of entries.
 *
 * @param image number of the image of each entry, -1 for entries to leave out
 * @param category number of the category of each entry, -1 for entries to leave out
 */
export function sortIntoSlots(
  image: Int32Array,
  category: Int32Array,
  images: number,
  categories: number,
  useCategories: boolean,
  scores?: Float64Array,
): Slots {
  const kept = new Int32Array(image.length);
  let n = 0;
  for (let i = 0; i < image.length; i++) if (image[i]! >= 0 && category[i]! >= 0) kept[n++] = i;
  let order = kept.slice(0, n);
  // Least important key first; with one category a slot the category is the slot.
  if (!useCategories) order = countingSort(order, category, categories);
  order = countingSort(order, image, images);
  if (scores) order = sortByFallingScore(order, scores);
  const slots = useCategories ? categories : 1;
  const start = new Int32Array(slots + 1);
  if (useCategories) {
    order = countingSort(order, category, categories);
    for (let i = 0; i < n; i++) start[category[order[i]!]! + 1]!++;
    for (let k = 0; k < slots; k++) start[k + 1]! += start[k]!;
  } else start[1] = n;
  return { order, start };
}

/** Stable. */
function countingSort(order: Int32Array<ArrayBuffer>, keys: Int32Array, count: number): Int32Array<ArrayBuffer> {
  const next = new Int32Array(count + 1);
  for (let i = 0; i < order.length; i++) next[keys[order[i]!]! + 1]!++;
  for (let k = 0; k < count; k++) next[k + 1]! += next[k]!;
  const out = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) out[next[keys[order[i]!]!]!++] = order[i]!;
  return out;
}

/** Stable; by the bits of the double, 11 at a time; digits that all scores share cost one look. */
function sortByFallingScore(order: Int32Array<ArrayBuffer>, scores: Float64Array): Int32Array<ArrayBuffer> {
  // -0 becomes 0, which it must tie with.
  const bits = new Uint32Array(scores.map((s) => s + 0).buffer);
  const low = new Uint32Array(scores.length);
  const high = new Uint32Array(scores.length);
  for (let i = 0; i < scores.length; i++) {
    // Positive doubles rise with their bits, negative ones fall: flipped so that keys rise as scores fall.
    const negative = bits[2 * i + 1]! >>> 31 === 1;
    low[i] = negative ? bits[2 * i]! : ~bits[2 * i]!;
    high[i] = negative ? bits[2 * i + 1]! : ~bits[2 * i + 1]! & 0x7fffffff;
  }
  let from = order;
  let to = new Int32Array(order.length);
  const digit = new Uint16Array(scores.length);
  for (let shift = 0; shift < 64; shift += 11) {
    let varies = false;
    const first = order.length > 0 ? digitAt(low[order[0]!]!, high[order[0]!]!, shift) : 0;
    for (let i = 0; i < order.length; i++) {
      const e = order[i]!;
      const d = digitAt(low[e]!, high[e]!, shift);
      digit[e] = d;
      if (d !== first) varies = true;
    }
    if (!varies) continue;
    const next = new Int32Array(2049);
    for (let i = 0; i < from.length; i++) next[digit[from[i]!]! + 1]!++;
    for (let k = 0; k < 2048; k++) next[k + 1]! += next[k]!;
    for (let i = 0; i < from.length; i++) to[next[digit[from[i]!]!]!++] = from[i]!;
    [from, to] = [to, from];
  }
  return from;
}

/** Eleven bits of a 64-bit key. */
function digitAt(low: number, high: number, shift: number): number {
  if (shift >= 32) return (high >>> (shift - 32)) & 2047;
  const bits = low >>> shift;
  return (shift > 21 ? bits | (high << (32 - shift)) : bits) & 2047;
}
