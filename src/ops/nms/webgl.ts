import type { TensorInfo } from '@tensorflow/tfjs-core';
import { type FlatFragmentProgram, float, int, runFragments, type WebglBackend } from '../kernels/webgl_program.js';
import { float32NotAbove, OFFSET_TRICK_BOXES } from './nms.js';

/** Numbers of a candidate: x0, y0, x1, y1, score, group. */
export const CANDIDATE = 6;

/** The score of what is no candidate; a finite number, for drivers may compute as if there were no infinity. */
export const NO_CANDIDATE = -3e38;

/** Pairs that one value of the bit matrix holds: the whole numbers that float32 holds. */
const BITS = 24;

/** Words that one fragment walks through on its own, one candidate after another. */
const BLOCK = 8;

/** Shares in which the candidates are looked through for the farthest coordinate. */
const SHARES = 64;

const SORTED = `
  bool counts(int row) { return getSorted(6 * row + 4) > ${NO_CANDIDATE.toExponential()} * 0.5; }`;

/**
 * Non-maximum suppression within groups, on the GPU and without a read-back, for several images at once; the rules of `batchedNms`.
 *
 * Fragments cannot write where they like nor share memory. So ranks are found by counting, pairs that suppress each other are bits of a matrix, and the
 * walk through it alternates between two programs: one decides on a block of candidates, one tells all later candidates which of those stay.
 *
 * @param candidates [N, C, 6] as {@link CANDIDATE} says, with {@link NO_CANDIDATE} for a score where there is none; equal scores keep their order
 * @param most       of the kept to give out
 * @returns          [N * most, 6] as (image, x0, y0, x1, y1, score), best first; rows that are left over have boxes of zeros and score -Infinity
 */
export function suppressOnWebgl(backend: WebglBackend, candidates: TensorInfo, iouThreshold: number, most: number): TensorInfo {
  const [images, count] = candidates.shape;
  const words = Math.ceil(count / BITS);
  const sizes = { count: int(count), words: int(words) };
  const held: TensorInfo[] = [];
  const run = (program: FlatFragmentProgram): TensorInfo => {
    const out = runFragments(backend, program);
    held.push(out);
    return out;
  };
  const rank = run({
    code: `
  float run(int index) {
    int first = index / count * count;
    float score = getCandidates(6 * index + 4);
    int rank = 0;
    for (int j = 0; j < count; j++) {
      float other = getCandidates(6 * (first + j) + 4);
      if (other > score || (other == score && first + j < index)) rank++;
    }
    return float(rank);
  }`,
    inputs: { Candidates: candidates },
    uniforms: { count: sizes.count },
    output: [images, count],
  });
  const order = run({
    code: `
  float run(int index) {
    int first = index / count * count;
    float wanted = float(index - first);
    for (int j = 0; j < count; j++) if (getRank(first + j) == wanted) return float(j);
    return 0.0;
  }`,
    inputs: { Rank: rank },
    uniforms: { count: sizes.count },
    output: [images, count],
  });
  const sorted = run({
    code: `
  float run(int index) {
    int row = index / 6;
    return getCandidates(6 * (row / count * count + int(getOrder(row))) + index % 6);
  }`,
    inputs: { Candidates: candidates, Order: order },
    uniforms: { count: sizes.count },
    output: candidates.shape,
  });
  // How far an image's boxes reach and how many there are: up to 1000 boxes, groups are told apart by moving them, whose rounding counts.
  const shares = run({
    code: `${SORTED}
  float run(int index) {
    int first = index / ${2 * SHARES} * count;
    float far = ${NO_CANDIDATE.toExponential()};
    float found = 0.0;
    for (int i = index / 2 % ${SHARES}; i < count; i += ${SHARES}) {
      int at = 6 * (first + i);
      if (!counts(first + i)) break;
      found += 1.0;
      far = max(far, max(max(getSorted(at), getSorted(at + 1)), max(getSorted(at + 2), getSorted(at + 3))));
    }
    return index % 2 == 0 ? far : found;
  }`,
    inputs: { Sorted: sorted },
    uniforms: { count: sizes.count },
    output: [images, SHARES, 2],
  });
  const pitch = run({
    code: `
  float run(int image) {
    float far = ${NO_CANDIDATE.toExponential()};
    float found = 0.0;
    for (int i = 0; i < ${SHARES}; i++) {
      far = max(far, getShares(2 * (image * ${SHARES} + i)));
      found += getShares(2 * (image * ${SHARES} + i) + 1);
    }
    // Negative: the groups stay where they are and are compared by their numbers.
    return found > 0.0 && found <= ${OFFSET_TRICK_BOXES}.0 ? far + 1.0 : -1.0;
  }`,
    inputs: { Shares: shares },
    uniforms: {},
    output: [images],
  });
  const matrix = run({
    code: `${SORTED}
  float run(int index) {
    int word = index % words;
    int row = index / words;
    int image = row / count;
    int i = row - image * count;
    int bits = 0;
    if (word * ${BITS} + ${BITS - 1} <= i || !counts(row)) return 0.0;
    float pitch = getPitch(image);
    float shift = max(pitch, 0.0);
    float group = getSorted(6 * row + 5);
    float away = shift * group;
    float x0 = getSorted(6 * row) + away;
    float y0 = getSorted(6 * row + 1) + away;
    float x1 = getSorted(6 * row + 2) + away;
    float y1 = getSorted(6 * row + 3) + away;
    float area = (x1 - x0) * (y1 - y0);
    for (int b = 0; b < ${BITS}; b++) {
      int j = word * ${BITS} + b;
      if (j <= i) continue;
      if (j >= count || !counts(image * count + j)) break;
      int at = 6 * (image * count + j);
      float other = getSorted(at + 5);
      if (pitch < 0.0 && other != group) continue;
      float farther = shift * other;
      float u0 = getSorted(at) + farther;
      float v0 = getSorted(at + 1) + farther;
      float u1 = getSorted(at + 2) + farther;
      float v1 = getSorted(at + 3) + farther;
      float overlap = max(min(x1, u1) - max(x0, u0), 0.0) * max(min(y1, v1) - max(y0, v0), 0.0);
      // Two boxes without area divide 0 by 0, and both stay.
      if (overlap > 0.0 && overlap / (area + (u1 - u0) * (v1 - v0) - overlap) > threshold) bits |= 1 << b;
    }
    return float(bits);
  }`,
    inputs: { Sorted: sorted, Pitch: pitch },
    uniforms: { ...sizes, threshold: float(float32NotAbove(iouThreshold)) },
    output: [images, count, words],
  });
  let removed = runFragments(backend, {
    code: 'float run(int index) { return 0.0; }',
    inputs: {},
    uniforms: {},
    output: [images, words],
  });
  for (let first = 0; first < words; first += BLOCK) {
    const block = { ...sizes, firstWord: int(first) };
    const stays = runFragments(backend, {
      code: `${SORTED}
  float run(int index) {
    int image = index / ${BLOCK};
    int stays[${BLOCK}];
    int gone[${BLOCK}];
    for (int w = 0; w < ${BLOCK}; w++) {
      stays[w] = 0;
      gone[w] = firstWord + w < words ? int(getRemoved(image * words + firstWord + w)) : 0;
    }
    for (int i = 0; i < ${BLOCK * BITS}; i++) {
      int place = firstWord * ${BITS} + i;
      if (place >= count) break;
      int row = image * count + place;
      int w = i / ${BITS};
      int bit = 1 << (i - w * ${BITS});
      if ((gone[w] & bit) != 0) continue;
      if (!counts(row)) break;
      stays[w] |= bit;
      for (int v = w; v < ${BLOCK}; v++) {
        if (firstWord + v >= words) break;
        gone[v] |= int(getMatrix(row * words + firstWord + v));
      }
    }
    return float(stays[index - image * ${BLOCK}]);
  }`,
      inputs: { Sorted: sorted, Matrix: matrix, Removed: removed },
      uniforms: block,
      output: [images, BLOCK],
    });
    const next = runFragments(backend, {
      code: `
  float run(int index) {
    int gone = int(getRemoved(index));
    int image = index / words;
    int v = index - image * words;
    if (v < firstWord) return float(gone);
    for (int w = 0; w < ${BLOCK}; w++) {
      int stays = int(getStays(image * ${BLOCK} + w));
      for (int b = 0; stays != 0; b++) {
        if ((stays & 1) != 0) gone |= int(getMatrix((image * count + (firstWord + w) * ${BITS} + b) * words + v));
        stays >>= 1;
      }
    }
    return float(gone);
  }`,
      inputs: { Removed: removed, Stays: stays, Matrix: matrix },
      uniforms: block,
      output: [images, words],
    });
    for (const tensor of [removed, stays]) backend.disposeIntermediateTensorInfo(tensor);
    removed = next;
  }
  held.push(removed);
  const kept = run({
    code: `${SORTED}
  float run(int index) {
    int image = index / words;
    int first = (index - image * words) * ${BITS};
    int gone = int(getRemoved(index));
    int bits = 0;
    for (int b = 0; b < ${BITS}; b++) {
      if (first + b >= count || !counts(image * count + first + b)) break;
      if ((gone & (1 << b)) == 0) bits |= 1 << b;
    }
    return float(bits);
  }`,
    inputs: { Sorted: sorted, Removed: removed },
    uniforms: sizes,
    output: [images, words],
  });
  // [N, W + 1]: how many stay before each word; the last is how many there are.
  const before = run({
    code: `
  int ones(int x) {
    x -= (x >> 1) & 0x555555;
    x = (x & 0x333333) + ((x >> 2) & 0x333333);
    x = (x + (x >> 4)) & 0x0f0f0f;
    return (x + (x >> 8) + (x >> 16)) & 0xff;
  }
  float run(int index) {
    int image = index / (words + 1);
    int total = 0;
    for (int w = 0; w < index - image * (words + 1); w++) total += ones(int(getKept(image * words + w)));
    return float(total);
  }`,
    inputs: { Kept: kept },
    uniforms: { words: sizes.words },
    output: [images, words + 1],
  });
  const result = runFragments(backend, {
    code: `
  float run(int index) {
    int row = index / 6;
    int column = index - 6 * row;
    int image = row / most;
    if (column == 0) return float(image);
    int slot = row - image * most;
    int base = image * (words + 1);
    if (slot >= int(getBefore(base + words))) return column == 5 ? uintBitsToFloat(0xff800000u) : 0.0;
    // The last word with no more than so many before it.
    int low = 0;
    int high = words - 1;
    while (low < high) {
      int middle = (low + high + 1) / 2;
      if (int(getBefore(base + middle)) <= slot) low = middle; else high = middle - 1;
    }
    int missing = slot - int(getBefore(base + low));
    int bits = int(getKept(image * words + low));
    int b = 0;
    for (; b < ${BITS}; b++) {
      if ((bits & (1 << b)) != 0) { if (missing == 0) break; missing--; }
    }
    return getSorted(6 * (image * count + low * ${BITS} + b) + column - 1);
  }`,
    inputs: { Sorted: sorted, Kept: kept, Before: before },
    uniforms: { ...sizes, most: int(most) },
    output: [images * most, CANDIDATE],
  });
  for (const tensor of held) backend.disposeIntermediateTensorInfo(tensor);
  return result;
}
