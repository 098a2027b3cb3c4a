import * as tf from '@tensorflow/tfjs-core';
import { GROUP_THREADS, i32, ROUNDED, runFlat, SINE_AND_COSINE, type WebGpuBackend } from '../kernels/webgpu_program.js';
import { atLeastComparison, IS_ABOVE_WGSL } from '../nms/iou_comparison.js';
import type { BatchedNmsAttributes } from '../nms/kernel_names.js';
import { gatherCandidates } from '../nms/webgpu.js';
import { assertMatrixFits, comparisonUniforms, keptIndices, orderByScore, walk, wordsOf } from '../nms/webgpu_matrix.js';
import { SMALLEST_AREA } from './iou.js';
import { BATCHED_ROTATED_NMS, ROTATED_IOU } from './kernel_names.js';

/** Numbers of a candidate: cx, cy, w, h, angle, score, group; a score of -Infinity is no candidate. */
const CANDIDATE = 7;

/**
 * `sharedArea(a, degreesA, b, degreesB)` of boxes (cx, cy, w, h), and `isBox`: the first box, as seen from the second one's centre and along its
 * sides, is clipped at each of those sides in turn (Sutherland and Hodgman 1974). A clip of a convex polygon adds a corner; rounding may add some.
 */
const SHARED_AREA = `${SINE_AND_COSINE}
  const CORNERS = 16;
  fn isBox(box : vec4<f32>) -> bool { return box.z * box.w >= ${SMALLEST_AREA}; }
  fn sharedArea(a : vec4<f32>, degreesA : f32, b : vec4<f32>, degreesB : f32) -> f32 {
    let away = a.xy - b.xy;
    let reach = (length(a.zw) + length(b.zw)) / 2.0;
    // A little more, for what rounding does: what is apart is found to share nothing below as well.
    if (dot(away, away) > reach * reach * 1.0001) { return 0.0; }
    let frame = sineAndCosine(degreesB);
    let turn = sineAndCosine(degreesA - degreesB);
    let centre = vec2<f32>(away.x * frame.y - away.y * frame.x, away.x * frame.x + away.y * frame.y);
    let along = a.z / 2.0 * vec2<f32>(turn.y, -turn.x);
    let across = a.w / 2.0 * vec2<f32>(turn.x, turn.y);
    var polygon : array<vec2<f32>, CORNERS>;
    var clipped : array<vec2<f32>, CORNERS>;
    polygon[0] = centre + along + across;
    polygon[1] = centre - along + across;
    polygon[2] = centre - along - across;
    polygon[3] = centre + along - across;
    var corners = 4;
    for (var side = 0; side < 4; side++) {
      let axis = side >> 1u;
      let sign = select(-1.0, 1.0, (side & 1) == 0);
      let bound = b[2 + axis] / 2.0;
      var kept = 0;
      for (var k = 0; k < corners; k++) {
        let p = polygon[k];
        let q = polygon[select(k + 1, 0, k + 1 == corners)];
        let outP = sign * p[axis] - bound;
        let outQ = sign * q[axis] - bound;
        if (outP <= 0.0 && kept < CORNERS) { clipped[kept] = p; kept += 1; }
        if (((outP < 0.0 && outQ > 0.0) || (outP > 0.0 && outQ < 0.0)) && kept < CORNERS) {
          clipped[kept] = p + outP / (outP - outQ) * (q - p);
          kept += 1;
        }
      }
      polygon = clipped;
      corners = kept;
    }
    var twice = 0.0;
    for (var k = 0; k < corners; k++) {
      let p = polygon[k];
      let q = polygon[select(k + 1, 0, k + 1 == corners)];
      twice += p.x * q.y - p.y * q.x;
    }
    return abs(twice) / 2.0;
  }`;

tf.registerKernel({
  kernelName: ROTATED_IOU,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, backend }) => {
    const [a, b] = [inputs.a as tf.TensorInfo, inputs.b as tf.TensorInfo];
    const output = [a.shape[0], b.shape[0]];
    return runFlat(backend as WebGpuBackend, {
      key: 'rotatedIou',
      code: `${SHARED_AREA}
      fn run(index : i32) {
        let i = 5 * (index / uniforms.columns);
        let j = 5 * (index % uniforms.columns);
        let first = vec4<f32>(a[i], a[i + 1], a[i + 2], a[i + 3]);
        let second = vec4<f32>(b[j], b[j + 1], b[j + 2], b[j + 3]);
        result[index] = 0.0;
        if (isBox(first) && isBox(second)) {
          let overlap = sharedArea(first, a[i + 4], second, b[j + 4]);
          result[index] = overlap / (first.z * first.w + second.z * second.w - overlap);
        }
      }`,
      inputs: [
        { name: 'a', tensor: a },
        { name: 'b', tensor: b },
      ],
      uniforms: { columns: i32(b.shape[0]) },
      threads: output[0] * output[1],
      output,
    });
  },
});

tf.registerKernel({
  kernelName: BATCHED_ROTATED_NMS,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    const backend = anyBackend as WebGpuBackend;
    const { iouThreshold, most } = attrs as unknown as BatchedNmsAttributes;
    const [boxes, scores, groups] = ['boxes', 'scores', 'groups'].map((name) => inputs[name] as tf.TensorInfo);
    const [count] = scores.shape;
    assertMatrixFits(backend, 1, count);
    const candidates = gatherCandidates(backend, 5, boxes, scores, groups);
    const order = orderByScore(backend, candidates, { images: 1, count, stride: CANDIDATE, at: 5 });
    const reach = reachOf(backend, candidates);
    const placed = place(backend, candidates, order, reach);
    const matrix = overlaps(backend, placed, reach, iouThreshold);
    const kept = walk(backend, matrix, reach, most);
    const indices = keptIndices(backend, order, kept);
    for (const { dataId } of [candidates, order, reach, placed, matrix, kept]) backend.disposeData(dataId);
    return indices;
  },
});

/** How many candidates there are, and by how much a group is moved away from the next, [1, 2]. */
function reachOf(backend: WebGpuBackend, candidates: tf.TensorInfo): tf.TensorInfo {
  return runFlat(backend, {
    key: 'rotatedReach',
    code: `
      var<workgroup> most : array<f32, ${GROUP_THREADS}>;
      var<workgroup> least : array<f32, ${GROUP_THREADS}>;
      var<workgroup> found : array<i32, ${GROUP_THREADS}>;
      fn run(group : i32, thread : i32) {
        var high = -uniforms.INFINITY;
        var low = uniforms.INFINITY;
        var n = 0;
        for (var i = thread; i < uniforms.count; i += ${GROUP_THREADS}) {
          let at = 7 * i;
          if (candidates[at + 5] > -uniforms.INFINITY) {
            n += 1;
            let half = max(candidates[at + 2], candidates[at + 3]) / 2.0;
            high = max(high, max(candidates[at], candidates[at + 1]) + half);
            low = min(low, min(candidates[at], candidates[at + 1]) - half);
          }
        }
        most[thread] = high;
        least[thread] = low;
        found[thread] = n;
        workgroupBarrier();
        if (thread == 0) {
          for (var t = 1; t < ${GROUP_THREADS}; t++) { high = max(high, most[t]); low = min(low, least[t]); n += found[t]; }
          result[0] = f32(n);
          result[1] = select(0.0, high - low + 1.0, n > 0);
        }
      }`,
    inputs: [{ name: 'candidates', tensor: candidates }],
    uniforms: { count: i32(candidates.shape[1]) },
    groups: 1,
    output: [1, 2],
  });
}

/** The boxes in order of score, [N, 5], where their groups are moved to. */
function place(backend: WebGpuBackend, candidates: tf.TensorInfo, order: tf.TensorInfo, reach: tf.TensorInfo): tf.TensorInfo {
  const count = candidates.shape[1];
  return runFlat(backend, {
    key: 'rotatedPlace',
    code: `${ROUNDED}
      fn run(index : i32) {
        let at = 7 * order[index];
        let away = rounded(candidates[at + 6] * reach[1]);
        result[5 * index] = candidates[at] + away;
        result[5 * index + 1] = candidates[at + 1] + away;
        for (var k = 2; k < 5; k++) { result[5 * index + k] = candidates[at + k]; }
      }`,
    inputs: [
      { name: 'candidates', tensor: candidates },
      { name: 'order', tensor: order },
      { name: 'reach', tensor: reach },
    ],
    uniforms: { nothing: i32(0) },
    threads: count,
    output: [count, 5],
  });
}

/** The bits of the pairs that overlap by the threshold or more, [1, N, words]. */
function overlaps(backend: WebGpuBackend, placed: tf.TensorInfo, reach: tf.TensorInfo, iouThreshold: number): tf.TensorInfo {
  const [count] = placed.shape;
  const words = wordsOf(count);
  const comparison = atLeastComparison(iouThreshold);
  return runFlat(backend, {
    key: 'rotatedMatrix',
    code: `${SHARED_AREA}${ROUNDED}${IS_ABOVE_WGSL}
      fn run(index : i32) {
        let word = index % uniforms.words;
        let row = index / uniforms.words;
        let end = min(word * 32 + 32, i32(reach[0]));
        var bits = 0;
        let at = 5 * row;
        let first = vec4<f32>(placed[at], placed[at + 1], placed[at + 2], placed[at + 3]);
        for (var j = max(word * 32, row + 1); j < end; j++) {
          let to = 5 * j;
          let second = vec4<f32>(placed[to], placed[to + 1], placed[to + 2], placed[to + 3]);
          var suppresses = uniforms.all > 0;
          if (!suppresses && isBox(first) && isBox(second)) {
            let overlap = rounded(sharedArea(first, placed[at + 4], second, placed[to + 4]));
            suppresses = isAbove(overlap, rounded(rounded(first.z * first.w) + rounded(second.z * second.w)) - overlap);
          }
          if (suppresses) { bits |= 1 << u32(j - word * 32); }
        }
        result[index] = bits;
      }`,
    inputs: [
      { name: 'placed', tensor: placed },
      { name: 'reach', tensor: reach },
    ],
    uniforms: {
      words: i32(words),
      nothing: i32(0),
      all: i32(comparison.all ? 1 : 0),
      ...comparisonUniforms(comparison),
    },
    threads: count * words,
    output: [1, count, words],
    dtype: 'int32',
  });
}
