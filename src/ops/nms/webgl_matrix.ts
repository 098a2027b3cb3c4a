import { env, type TensorInfo } from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';
import { float, int, runFragments, type Uniform, type WebglBackend } from '../kernels/webgl_program.js';
import type { IouComparison } from './iou_comparison.js';

/** Pairs that one value of the bit matrix holds: the whole numbers that float32 holds. */
export const BITS = 24;

/** Words that one fragment walks through on its own, one candidate after another. */
const BLOCK = 8;

/** The score of what is no candidate, in GLSL; a finite number, for drivers may compute as if there were no infinity. */
export const NO_CANDIDATE = '-3e38';

/** Shares in which the candidates are looked through for how far they reach. */
export const SHARES = 64;

/** Words of the bit matrix's rows: a row is a candidate, its bits are those that it suppresses. */
export const wordsOf = (count: number): number => Math.ceil(count / BITS);

/** @throws BackendError where the bit matrix is too large for a texture */
export function assertMatrixFits(images: number, count: number): void {
  const texels = images * count * wordsOf(count);
  const side = env().getNumber('WEBGL_MAX_TEXTURE_SIZE');
  if (texels <= side * side) return;
  throw new BackendError(
    `Suppression on webgl among ${count} boxes${images > 1 ? ` of each of ${images} images` : ''} needs a texture of ${texels} texels; ` +
      `this GPU has textures of ${side} x ${side}. Suppress among fewer (a higher score threshold, fewer images at once), or take wasm.`,
  );
}

/**
 * Indices by decreasing score, image after image: ranks by counting; equal scores keep their order.
 * @param candidates [N, C, K]
 * @param at         which of the K numbers is the score
 * @returns          [N, C]
 */
export function orderByScore(backend: WebglBackend, candidates: TensorInfo, at: number): TensorInfo {
  const [images, count, stride] = candidates.shape;
  const uniforms = { count: int(count) };
  // Side by side: each of them is read by all.
  const scores = runFragments(backend, {
    code: `float run(int index) { return getCandidates(${stride} * index + ${at}); }`,
    inputs: { Candidates: candidates },
    uniforms: {},
    output: [images, count],
  });
  const rank = runFragments(backend, {
    code: `
  float run(int index) {
    int first = index / count * count;
    float score = getScores(index);
    int rank = 0;
    for (int j = first; j < first + count; j++) {
      float other = getScores(j);
      if (other > score || (other == score && j < index)) rank++;
    }
    return float(rank);
  }`,
    inputs: { Scores: scores },
    uniforms,
    output: [images, count],
  });
  const order = runFragments(backend, {
    code: `
  float run(int index) {
    int first = index / count * count;
    float wanted = float(index - first);
    for (int j = 0; j < count; j++) if (getRank(first + j) == wanted) return float(j);
    return 0.0;
  }`,
    inputs: { Rank: rank },
    uniforms,
    output: [images, count],
  });
  for (const tensor of [scores, rank]) backend.disposeIntermediateTensorInfo(tensor);
  return order;
}

/**
 * Walks through the bit matrix of each image, best candidate first, block by block: who is not suppressed by then stays and suppresses what its row says.
 * @param matrix [N, C, W]; only bits of later places count
 * @param reach  [N, 2], of which the first is how many places are taken: those of no candidate come last
 * @returns      [N, W] the places that stay, and [N, W + 1] how many stay before each word, of which the last is how many there are
 */
export function walk(backend: WebglBackend, matrix: TensorInfo, reach: TensorInfo): { kept: TensorInfo; before: TensorInfo } {
  const [images, count, words] = matrix.shape;
  const sizes = { count: int(count), words: int(words) };
  let removed = runFragments(backend, {
    code: 'float run(int index) { return 0.0; }',
    inputs: {},
    uniforms: {},
    output: [images, words],
  });
  for (let first = 0; first < words; first += BLOCK) {
    const block = { ...sizes, firstWord: int(first) };
    const stays = runFragments(backend, {
      code: `
  float run(int index) {
    int image = index / ${BLOCK};
    int taken = int(getReach(2 * image));
    int stays[${BLOCK}];
    int gone[${BLOCK}];
    for (int w = 0; w < ${BLOCK}; w++) {
      stays[w] = 0;
      gone[w] = firstWord + w < words ? int(getRemoved(image * words + firstWord + w)) : 0;
    }
    for (int i = 0; i < ${BLOCK * BITS}; i++) {
      int place = firstWord * ${BITS} + i;
      if (place >= taken) break;
      int row = image * count + place;
      int w = i / ${BITS};
      int bit = 1 << (i - w * ${BITS});
      if ((gone[w] & bit) != 0) continue;
      stays[w] |= bit;
      for (int v = w; v < ${BLOCK}; v++) {
        if (firstWord + v >= words) break;
        gone[v] |= int(getMatrix(row * words + firstWord + v));
      }
    }
    return float(stays[index - image * ${BLOCK}]);
  }`,
      inputs: { Reach: reach, Matrix: matrix, Removed: removed },
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
  const kept = runFragments(backend, {
    code: `
  float run(int index) {
    int image = index / words;
    int first = (index - image * words) * ${BITS};
    int taken = int(getReach(2 * image));
    int gone = int(getRemoved(index));
    int bits = 0;
    for (int b = 0; b < ${BITS} && first + b < taken; b++) {
      if ((gone & (1 << b)) == 0) bits |= 1 << b;
    }
    return float(bits);
  }`,
    inputs: { Reach: reach, Removed: removed },
    uniforms: { words: sizes.words },
    output: [images, words],
  });
  backend.disposeIntermediateTensorInfo(removed);
  const before = runFragments(backend, {
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
  return { kept, before };
}

/** `placeOf(image, slot)`: the place of an image's kept with so many before it, or -1. Needs `Kept` and `Before` of {@link walk}, and the uniform `words`. */
export const PLACE_OF = `
  int placeOf(int image, int slot) {
    int base = image * (words + 1);
    if (slot >= int(getBefore(base + words))) return -1;
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
    return low * ${BITS} + b;
  }`;

/**
 * Rows as candidates: numbers of the box, score and group; a row that is not finite has a box of zeros and the score {@link NO_CANDIDATE}.
 * @param columns of a row of `boxes`
 * @returns [1, N, columns + 2]
 */
export function gatherCandidates(
  backend: WebglBackend,
  columns: number,
  boxes: TensorInfo,
  scores: TensorInfo,
  groups: TensorInfo,
): TensorInfo {
  return runFragments(backend, {
    code: `
  bool isFinite1(float v) { return (floatBitsToUint(v) & 0x7f800000u) != 0x7f800000u; }
  float run(int index) {
    int row = index / ${columns + 2};
    int column = index - ${columns + 2} * row;
    if (column == ${columns + 1}) return getGroups(row);
    float score = getScores(row);
    bool good = isFinite1(score);
    for (int k = 0; k < ${columns}; k++) good = good && isFinite1(getBoxes(${columns} * row + k));
    if (column == ${columns}) return good ? score : ${NO_CANDIDATE};
    return good ? getBoxes(${columns} * row + column) : 0.0;
  }`,
    inputs: { Boxes: boxes, Scores: scores, Groups: groups },
    uniforms: {},
    output: [1, scores.shape[0], columns + 2],
  });
}

/**
 * What {@link walk} found for one image, as `batchedNmsOnDevice` gives it.
 * @param order [1, C]
 * @returns     [1 + most] int32
 */
export function keptIndices(
  backend: WebglBackend,
  order: TensorInfo,
  { kept, before }: { kept: TensorInfo; before: TensorInfo },
  most: number,
): TensorInfo {
  return runFragments(backend, {
    code: `${PLACE_OF}
  float run(int index) {
    if (index == 0) return min(getBefore(words), float(most));
    int place = placeOf(0, index - 1);
    return place < 0 ? -1.0 : getOrder(place);
  }`,
    inputs: { Order: order, Kept: kept, Before: before },
    uniforms: { words: int(wordsOf(order.shape[1])), most: int(most) },
    output: [1 + most],
    dtype: 'int32',
  });
}

/** What the comparison of an IoU with its threshold reads. */
export function comparisonUniforms({ surely, barely, middleHigh, middleLow, exponent }: IouComparison): Record<string, Uniform> {
  return {
    surely: float(surely),
    barely: float(barely),
    middleHigh: int(middleHigh),
    middleLow: int(middleLow),
    exponent: int(exponent),
  };
}
