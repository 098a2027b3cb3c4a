import * as tf from '@tensorflow/tfjs-core';
import { assertFloat32, int, ROUNDED, runFragments, SINE_AND_COSINE, type WebglBackend } from '../kernels/webgl_program.js';
import { atLeastComparison, IS_ABOVE_GLSL } from '../nms/iou_comparison.js';
import type { BatchedNmsAttributes } from '../nms/kernel_names.js';
import {
  assertMatrixFits,
  BITS,
  comparisonUniforms,
  gatherCandidates,
  keptIndices,
  NO_CANDIDATE,
  orderByScore,
  SHARES,
  walk,
  wordsOf,
} from '../nms/webgl_matrix.js';
import { SMALLEST_AREA } from './iou.js';
import { BATCHED_ROTATED_NMS, ROTATED_IOU } from './kernel_names.js';

/** `sharedArea(a, degreesA, b, degreesB)` and `isBox`, as the webgpu backend's. */
const SHARED_AREA = `${SINE_AND_COSINE}
  const int CORNERS = 16;
  bool isBox(vec4 box) { return box.z * box.w >= ${SMALLEST_AREA}; }
  float sharedArea(vec4 a, float degreesA, vec4 b, float degreesB) {
    vec2 away = a.xy - b.xy;
    float reach = (length(a.zw) + length(b.zw)) / 2.0;
    // A little more, for what rounding does: what is apart is found to share nothing below as well.
    if (dot(away, away) > reach * reach * 1.0001) return 0.0;
    vec2 frame = sineAndCosine(degreesB);
    vec2 turn = sineAndCosine(degreesA - degreesB);
    vec2 centre = vec2(away.x * frame.y - away.y * frame.x, away.x * frame.x + away.y * frame.y);
    vec2 along = a.z / 2.0 * vec2(turn.y, -turn.x);
    vec2 across = a.w / 2.0 * vec2(turn.x, turn.y);
    vec2 polygon[CORNERS];
    vec2 clipped[CORNERS];
    polygon[0] = centre + along + across;
    polygon[1] = centre - along + across;
    polygon[2] = centre - along - across;
    polygon[3] = centre + along - across;
    int corners = 4;
    for (int side = 0; side < 4; side++) {
      // The side's direction, for components are not to be picked by a number that a driver does not know.
      vec2 outward = (side < 2 ? vec2(1.0, 0.0) : vec2(0.0, 1.0)) * ((side & 1) == 0 ? 1.0 : -1.0);
      float bound = (side < 2 ? b.z : b.w) / 2.0;
      int kept = 0;
      for (int k = 0; k < corners; k++) {
        vec2 p = polygon[k];
        vec2 q = polygon[k + 1 == corners ? 0 : k + 1];
        float outP = dot(outward, p) - bound;
        float outQ = dot(outward, q) - bound;
        if (outP <= 0.0 && kept < CORNERS) clipped[kept++] = p;
        if (((outP < 0.0 && outQ > 0.0) || (outP > 0.0 && outQ < 0.0)) && kept < CORNERS)
          clipped[kept++] = p + outP / (outP - outQ) * (q - p);
      }
      polygon = clipped;
      corners = kept;
    }
    float twice = 0.0;
    for (int k = 0; k < corners; k++) {
      vec2 p = polygon[k];
      vec2 q = polygon[k + 1 == corners ? 0 : k + 1];
      twice += p.x * q.y - p.y * q.x;
    }
    return abs(twice) / 2.0;
  }`;

tf.registerKernel({
  kernelName: ROTATED_IOU,
  backendName: 'webgl',
  kernelFunc: ({ inputs, backend }) => {
    assertFloat32('Overlaps of rotated boxes');
    const [a, b] = [inputs.a as tf.TensorInfo, inputs.b as tf.TensorInfo];
    return runFragments(backend as WebglBackend, {
      code: `${SHARED_AREA}
  float run(int index) {
    int row = index / columns;
    int i = 5 * row;
    int j = 5 * (index - row * columns);
    vec4 first = vec4(getA(i), getA(i + 1), getA(i + 2), getA(i + 3));
    vec4 second = vec4(getB(j), getB(j + 1), getB(j + 2), getB(j + 3));
    if (!isBox(first) || !isBox(second)) return 0.0;
    float overlap = sharedArea(first, getA(i + 4), second, getB(j + 4));
    return overlap / (first.z * first.w + second.z * second.w - overlap);
  }`,
      inputs: { A: a, B: b },
      uniforms: { columns: int(b.shape[0]) },
      output: [a.shape[0], b.shape[0]],
    });
  },
});

tf.registerKernel({
  kernelName: BATCHED_ROTATED_NMS,
  backendName: 'webgl',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    assertFloat32('Suppression of rotated boxes');
    const backend = anyBackend as WebglBackend;
    const { iouThreshold, most } = attrs as unknown as BatchedNmsAttributes;
    const [boxes, scores, groups] = ['boxes', 'scores', 'groups'].map((name) => inputs[name] as tf.TensorInfo);
    assertMatrixFits(1, scores.shape[0]);
    // Numbers of a candidate: cx, cy, w, h, angle, score, group.
    const candidates = gatherCandidates(backend, 5, boxes, scores, groups);
    const order = orderByScore(backend, candidates, 5);
    const reach = reachOf(backend, candidates);
    const placed = place(backend, candidates, order, reach);
    const matrix = overlaps(backend, placed, reach, iouThreshold);
    const { kept, before } = walk(backend, matrix, reach);
    const indices = keptIndices(backend, order, { kept, before }, most);
    for (const tensor of [candidates, order, reach, placed, matrix, kept, before]) backend.disposeIntermediateTensorInfo(tensor);
    return indices;
  },
});

/** How many candidates there are, and by how much a group is moved away from the next, [1, 2]. */
function reachOf(backend: WebglBackend, candidates: tf.TensorInfo): tf.TensorInfo {
  const shares = runFragments(backend, {
    code: `
  float run(int index) {
    int what = index % 3;
    float high = ${NO_CANDIDATE};
    float low = -high;
    float found = 0.0;
    for (int i = index / 3; i < count; i += ${SHARES}) {
      int at = 7 * i;
      if (getCandidates(at + 5) < ${NO_CANDIDATE} * 0.5) continue;
      found += 1.0;
      vec2 centre = vec2(getCandidates(at), getCandidates(at + 1));
      float half_ = max(getCandidates(at + 2), getCandidates(at + 3)) / 2.0;
      high = max(high, max(centre.x, centre.y) + half_);
      low = min(low, min(centre.x, centre.y) - half_);
    }
    return what == 0 ? found : what == 1 ? high : low;
  }`,
    inputs: { Candidates: candidates },
    uniforms: { count: int(candidates.shape[1]) },
    output: [SHARES, 3],
  });
  const reach = runFragments(backend, {
    code: `
  float run(int index) {
    float found = 0.0;
    float high = ${NO_CANDIDATE};
    float low = -high;
    for (int i = 0; i < ${SHARES}; i++) {
      found += getShares(3 * i);
      high = max(high, getShares(3 * i + 1));
      low = min(low, getShares(3 * i + 2));
    }
    if (index == 0) return found;
    return found > 0.0 ? high - low + 1.0 : 0.0;
  }`,
    inputs: { Shares: shares },
    uniforms: {},
    output: [1, 2],
  });
  backend.disposeIntermediateTensorInfo(shares);
  return reach;
}

/** The boxes in order of score, [N, 5], where their groups are moved to. */
function place(backend: WebglBackend, candidates: tf.TensorInfo, order: tf.TensorInfo, reach: tf.TensorInfo): tf.TensorInfo {
  return runFragments(backend, {
    code: `${ROUNDED}
  float run(int index) {
    int row = index / 5;
    int column = index - 5 * row;
    int at = 7 * int(getOrder(row));
    float value = getCandidates(at + column);
    return column < 2 ? value + rounded(getCandidates(at + 6) * getReach(1)) : value;
  }`,
    inputs: { Candidates: candidates, Order: order, Reach: reach },
    uniforms: { nothing: int(0) },
    output: [candidates.shape[1], 5],
  });
}

/** The bits of the pairs that overlap by the threshold or more, [1, N, words]. */
function overlaps(backend: WebglBackend, placed: tf.TensorInfo, reach: tf.TensorInfo, iouThreshold: number): tf.TensorInfo {
  const [count] = placed.shape;
  const words = wordsOf(count);
  const comparison = atLeastComparison(iouThreshold);
  return runFragments(backend, {
    code: `${SHARED_AREA}${ROUNDED}${IS_ABOVE_GLSL}
  float run(int index) {
    int row = index / words;
    int first = (index - row * words) * ${BITS};
    int end = min(first + ${BITS}, int(getReach(0)));
    int at = 5 * row;
    vec4 box = vec4(getPlaced(at), getPlaced(at + 1), getPlaced(at + 2), getPlaced(at + 3));
    int bits = 0;
    for (int j = max(first, row + 1); j < end; j++) {
      int to = 5 * j;
      vec4 other = vec4(getPlaced(to), getPlaced(to + 1), getPlaced(to + 2), getPlaced(to + 3));
      bool suppresses = all_ > 0;
      if (!suppresses && isBox(box) && isBox(other)) {
        float overlap = rounded(sharedArea(box, getPlaced(at + 4), other, getPlaced(to + 4)));
        suppresses = isAbove(overlap, rounded(rounded(box.z * box.w) + rounded(other.z * other.w)) - overlap);
      }
      if (suppresses) bits |= 1 << (j - first);
    }
    return float(bits);
  }`,
    inputs: { Placed: placed, Reach: reach },
    uniforms: {
      words: int(words),
      nothing: int(0),
      all_: int(comparison.all ? 1 : 0),
      ...comparisonUniforms(comparison),
    },
    output: [1, count, words],
  });
}
