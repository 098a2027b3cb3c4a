import * as tf from '@tensorflow/tfjs-core';
import { assertFloat32, int, ROUNDED, runFragments, type WebglBackend } from '../kernels/webgl_program.js';
import { iouComparison, IS_ABOVE_GLSL } from './iou_comparison.js';
import { BATCHED_NMS, type BatchedNmsAttributes } from './kernel_names.js';
import { OFFSET_TRICK_BOXES } from './nms.js';
import {
  assertMatrixFits,
  BITS,
  comparisonUniforms,
  gatherCandidates,
  keptIndices,
  NO_CANDIDATE,
  orderByScore,
  PLACE_OF,
  SHARES,
  walk,
  wordsOf,
} from './webgl_matrix.js';

/** Numbers of a candidate: x0, y0, x1, y1, score, group. */
export const CANDIDATE = 6;

/** What the suppression found out, each image's candidates in order of score. */
interface Suppressed {
  /** [N, C] the candidate at each place of the order. */
  order: tf.TensorInfo;
  /** [N, W] the places that stay, as bits. */
  kept: tf.TensorInfo;
  /** [N, W + 1] how many stay before each word; the last is how many there are. */
  before: tf.TensorInfo;
}

/**
 * Non-maximum suppression within groups, on the GPU and without a read-back, for several images at once; the rules of `batchedNms`.
 *
 * Fragments cannot write where they like nor share memory. So ranks are found by counting, pairs that suppress each other are bits of a matrix, and the
 * walk through it alternates between two programs: one decides on a block of candidates, one tells all later candidates which of those stay.
 *
 * @param candidates [N, C, 6] as {@link CANDIDATE} says, with {@link NO_CANDIDATE} for a score where there is none; equal scores keep their order
 */
function suppress(backend: WebglBackend, candidates: tf.TensorInfo, iouThreshold: number): Suppressed {
  const [images, count] = candidates.shape;
  const words = wordsOf(count);
  assertMatrixFits(images, count);
  const order = orderByScore(backend, candidates, 4);
  // How many candidates an image has and how far they reach: up to 1000 boxes, groups are told apart by moving them, whose rounding counts.
  const shares = runFragments(backend, {
    code: `
  float run(int index) {
    int first = index / ${2 * SHARES} * count;
    float far = ${NO_CANDIDATE};
    float found = 0.0;
    for (int i = index / 2 % ${SHARES}; i < count; i += ${SHARES}) {
      int at = 6 * (first + i);
      if (getCandidates(at + 4) < ${NO_CANDIDATE} * 0.5) continue;
      found += 1.0;
      far = max(far, max(max(getCandidates(at), getCandidates(at + 1)), max(getCandidates(at + 2), getCandidates(at + 3))));
    }
    return index % 2 == 0 ? found : far;
  }`,
    inputs: { Candidates: candidates },
    uniforms: { count: int(count) },
    output: [images, SHARES, 2],
  });
  const reach = runFragments(backend, {
    code: `
  float run(int index) {
    int image = index / 2;
    float far = ${NO_CANDIDATE};
    float found = 0.0;
    for (int i = 0; i < ${SHARES}; i++) {
      found += getShares(2 * (image * ${SHARES} + i));
      far = max(far, getShares(2 * (image * ${SHARES} + i) + 1));
    }
    if (index % 2 == 0) return found;
    // Negative: the groups stay where they are and are compared by their numbers.
    return found > 0.0 && found <= ${OFFSET_TRICK_BOXES}.0 ? far + 1.0 : -1.0;
  }`,
    inputs: { Shares: shares },
    uniforms: {},
    output: [images, 2],
  });
  // In order: corners where the group is moved to, area, and the group where it stays. What is stored is rounded, whatever the compiler does.
  const placed = runFragments(backend, {
    code: `${ROUNDED}
  float run(int index) {
    int row = index / 6;
    int column = index - 6 * row;
    int image = row / count;
    int at = 6 * (image * count + int(getOrder(row)));
    float pitch = getReach(2 * image + 1);
    float group = getCandidates(at + 5);
    if (column == 5) return pitch > 0.0 ? 0.0 : group;
    float away = rounded(max(pitch, 0.0) * group);
    if (column < 4) return getCandidates(at + column) + away;
    float x0 = rounded(getCandidates(at) + away);
    float y0 = rounded(getCandidates(at + 1) + away);
    float x1 = rounded(getCandidates(at + 2) + away);
    float y1 = rounded(getCandidates(at + 3) + away);
    return (x1 - x0) * (y1 - y0);
  }`,
    inputs: { Candidates: candidates, Order: order, Reach: reach },
    uniforms: { count: int(count), nothing: int(0) },
    output: candidates.shape,
  });
  const matrix = runFragments(backend, {
    code: `${ROUNDED}${IS_ABOVE_GLSL}
  float run(int index) {
    int row = index / words;
    int word = index - row * words;
    int image = row / count;
    int i = row - image * count;
    int first = word * ${BITS};
    int end = min(first + ${BITS}, int(getReach(2 * image)));
    if (end <= i + 1) return 0.0;
    int at = 6 * row;
    vec4 corners = vec4(getPlaced(at), getPlaced(at + 1), getPlaced(at + 2), getPlaced(at + 3));
    float area = getPlaced(at + 4);
    float group = getPlaced(at + 5);
    int bits = 0;
    for (int j = max(first, i + 1); j < end; j++) {
      int to = 6 * (image * count + j);
      if (getPlaced(to + 5) != group) continue;
      float width = min(corners.z, getPlaced(to + 2)) - max(corners.x, getPlaced(to));
      if (width <= 0.0) continue;
      float height = min(corners.w, getPlaced(to + 3)) - max(corners.y, getPlaced(to + 1));
      float overlap = rounded(width * max(height, 0.0));
      if (isAbove(overlap, rounded(area + getPlaced(to + 4)) - overlap)) bits |= 1 << (j - first);
    }
    return float(bits);
  }`,
    inputs: { Placed: placed, Reach: reach },
    uniforms: {
      count: int(count),
      words: int(words),
      nothing: int(0),
      ...comparisonUniforms(iouComparison(iouThreshold)),
    },
    output: [images, count, words],
  });
  const { kept, before } = walk(backend, matrix, reach);
  for (const tensor of [shares, reach, placed, matrix]) backend.disposeIntermediateTensorInfo(tensor);
  return { order, kept, before };
}

/**
 * The same, as the regions that stay.
 * @param most of the kept to give out
 * @returns    [N * most, 6] as (image, x0, y0, x1, y1, score), best first; rows that are left over have boxes of zeros and score -Infinity
 */
export function suppressOnWebgl(
  backend: WebglBackend,
  candidates: tf.TensorInfo,
  iouThreshold: number,
  most: number,
): tf.TensorInfo {
  const [images, count] = candidates.shape;
  const { order, kept, before } = suppress(backend, candidates, iouThreshold);
  const regions = runFragments(backend, {
    code: `${PLACE_OF}
  float run(int index) {
    int row = index / 6;
    int column = index - 6 * row;
    int image = row / most;
    if (column == 0) return float(image);
    int place = placeOf(image, row - image * most);
    if (place < 0) return column == 5 ? uintBitsToFloat(0xff800000u) : 0.0;
    return getCandidates(6 * (image * count + int(getOrder(image * count + place))) + column - 1);
  }`,
    inputs: { Candidates: candidates, Order: order, Kept: kept, Before: before },
    uniforms: { count: int(count), words: int(wordsOf(count)), most: int(most) },
    output: [images * most, CANDIDATE],
  });
  for (const tensor of [order, kept, before]) backend.disposeIntermediateTensorInfo(tensor);
  return regions;
}

tf.registerKernel({
  kernelName: BATCHED_NMS,
  backendName: 'webgl',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    assertFloat32('Suppression');
    const backend = anyBackend as WebglBackend;
    const { iouThreshold, most } = attrs as unknown as BatchedNmsAttributes;
    const [boxes, scores, groups] = ['boxes', 'scores', 'groups'].map((name) => inputs[name] as tf.TensorInfo);
    const [count] = scores.shape;
    assertMatrixFits(1, count);
    const candidates = gatherCandidates(backend, 4, boxes, scores, groups);
    const { order, kept, before } = suppress(backend, candidates, iouThreshold);
    const indices = keptIndices(backend, order, { kept, before }, most);
    for (const tensor of [candidates, order, kept, before]) backend.disposeIntermediateTensorInfo(tensor);
    return indices;
  },
});
