import * as tf from '@tensorflow/tfjs-core';
import { GROUP_THREADS, i32, ROUNDED, runFlat, type WebGpuBackend } from '../kernels/webgpu_program.js';
import { IS_ABOVE_WGSL, iouComparison } from './iou_comparison.js';
import { BATCHED_NMS, type BatchedNmsAttributes } from './kernel_names.js';
import { OFFSET_TRICK_BOXES } from './nms.js';
import { assertMatrixFits, comparisonUniforms, keptIndices, orderByScore, walk, wordsOf } from './webgpu_matrix.js';

/** Numbers of a candidate: x0, y0, x1, y1, score, group; a score of -Infinity is no candidate. */
export const CANDIDATE = 6;

/** What the suppression found out, each image's candidates in order of score. */
interface Suppressed {
  /** [N, C] the candidate at each place of the order. */
  order: tf.TensorInfo;
  /** [N, 1 + most] how many are kept, and the places that they have in the order; -1 where there are fewer. */
  kept: tf.TensorInfo;
}

/**
 * Non-maximum suppression within groups, on the GPU and without a read-back, for several images at once; the rules of `batchedNms`.
 *
 * Ranks by counting, a matrix of bits for the pairs that suppress each other, and one walk through it for each image, 32 candidates at a time.
 *
 * @param candidates [N, C, 6] as {@link CANDIDATE} says; equal scores keep their order
 * @param most       of the kept to give out
 */
function suppress(backend: WebGpuBackend, candidates: tf.TensorInfo, iouThreshold: number, most: number): Suppressed {
  const [images, count] = candidates.shape;
  const words = wordsOf(count);
  assertMatrixFits(backend, images, count);
  const order = orderByScore(backend, candidates, { images, count, stride: CANDIDATE, at: 4 });
  // How many candidates an image has and how far its boxes reach: up to 1000 boxes, groups are told apart by moving them, whose rounding counts.
  const reach = runFlat(backend, {
    key: 'nmsReach',
    code: `
      var<workgroup> farthest : array<f32, ${GROUP_THREADS}>;
      var<workgroup> found : array<i32, ${GROUP_THREADS}>;
      fn run(group : i32, thread : i32) {
        var far = -uniforms.INFINITY;
        var n = 0;
        for (var i = thread; i < uniforms.count; i += ${GROUP_THREADS}) {
          let at = 6 * (group * uniforms.count + i);
          if (candidates[at + 4] > -uniforms.INFINITY) {
            n += 1;
            far = max(far, max(max(candidates[at], candidates[at + 1]), max(candidates[at + 2], candidates[at + 3])));
          }
        }
        farthest[thread] = far;
        found[thread] = n;
        workgroupBarrier();
        if (thread == 0) {
          for (var t = 1; t < ${GROUP_THREADS}; t++) { far = max(far, farthest[t]); n += found[t]; }
          result[2 * group] = f32(n);
          // Negative: the groups stay where they are and are compared by their numbers.
          result[2 * group + 1] = select(-1.0, far + 1.0, n > 0 && n <= ${OFFSET_TRICK_BOXES});
        }
      }`,
    inputs: [{ name: 'candidates', tensor: candidates }],
    uniforms: { count: i32(count) },
    groups: images,
    output: [images, 2],
  });
  // In order: corners where the group is moved to, area, and the group where it stays. What is stored is rounded, whatever the compiler does.
  const placed = runFlat(backend, {
    key: 'nmsPlace',
    code: `${ROUNDED}
      fn run(index : i32) {
        let image = index / uniforms.count;
        let at = 6 * (image * uniforms.count + order[index]);
        let pitch = reach[2 * image + 1];
        let group = candidates[at + 5];
        let away = rounded(max(pitch, 0.0) * group);
        let x0 = rounded(candidates[at] + away);
        let y0 = rounded(candidates[at + 1] + away);
        let x1 = rounded(candidates[at + 2] + away);
        let y1 = rounded(candidates[at + 3] + away);
        result[6 * index] = x0;
        result[6 * index + 1] = y0;
        result[6 * index + 2] = x1;
        result[6 * index + 3] = y1;
        result[6 * index + 4] = (x1 - x0) * (y1 - y0);
        result[6 * index + 5] = select(group, 0.0, pitch > 0.0);
      }`,
    inputs: [
      { name: 'candidates', tensor: candidates },
      { name: 'order', tensor: order },
      { name: 'reach', tensor: reach },
    ],
    uniforms: { count: i32(count), nothing: i32(0) },
    threads: images * count,
    output: candidates.shape,
  });
  const matrix = runFlat(backend, {
    key: 'nmsMatrix',
    code: `${ROUNDED}${IS_ABOVE_WGSL}
      fn run(index : i32) {
        let word = index % uniforms.words;
        let row = index / uniforms.words;
        let image = row / uniforms.count;
        let i = row - image * uniforms.count;
        let end = min(word * 32 + 32, i32(reach[2 * image]));
        var bits = 0;
        let at = 6 * row;
        let corners = vec4<f32>(placed[at], placed[at + 1], placed[at + 2], placed[at + 3]);
        let area = placed[at + 4];
        let group = placed[at + 5];
        for (var j = max(word * 32, i + 1); j < end; j++) {
          let to = 6 * (image * uniforms.count + j);
          if (placed[to + 5] != group) { continue; }
          let sides = max(min(corners.zw, vec2<f32>(placed[to + 2], placed[to + 3])) - max(corners.xy, vec2<f32>(placed[to], placed[to + 1])), vec2<f32>(0.0));
          let overlap = rounded(sides.x * sides.y);
          if (isAbove(overlap, rounded(area + placed[to + 4]) - overlap)) { bits |= 1 << u32(j - word * 32); }
        }
        result[index] = bits;
      }`,
    inputs: [
      { name: 'placed', tensor: placed },
      { name: 'reach', tensor: reach },
    ],
    uniforms: {
      count: i32(count),
      words: i32(words),
      nothing: i32(0),
      ...comparisonUniforms(iouComparison(iouThreshold)),
    },
    threads: images * count * words,
    output: [images, count, words],
    dtype: 'int32',
  });
  const kept = walk(backend, matrix, reach, most);
  for (const { dataId } of [reach, placed, matrix]) backend.disposeData(dataId);
  return { order, kept };
}

/**
 * The same, as the regions that stay.
 * @returns [N * most, 6] as (image, x0, y0, x1, y1, score), best first; rows that are left over have boxes of zeros and score -Infinity
 */
export function suppressOnGpu(
  backend: WebGpuBackend,
  candidates: tf.TensorInfo,
  iouThreshold: number,
  most: number,
): tf.TensorInfo {
  const [images, count] = candidates.shape;
  const { order, kept } = suppress(backend, candidates, iouThreshold, most);
  const regions = runFlat(backend, {
    key: 'nmsRegions',
    code: `
      fn run(index : i32) {
        let image = index / uniforms.most;
        let place = kept[index + image + 1];
        result[6 * index] = f32(image);
        if (place < 0) {
          for (var k = 1; k < 5; k++) { result[6 * index + k] = 0.0; }
          result[6 * index + 5] = -uniforms.INFINITY;
          return;
        }
        let at = 6 * (image * uniforms.count + order[image * uniforms.count + place]);
        for (var k = 0; k < 5; k++) { result[6 * index + 1 + k] = candidates[at + k]; }
      }`,
    inputs: [
      { name: 'candidates', tensor: candidates },
      { name: 'order', tensor: order },
      { name: 'kept', tensor: kept },
    ],
    uniforms: { count: i32(count), most: i32(most) },
    threads: images * most,
    output: [images * most, CANDIDATE],
  });
  for (const { dataId } of [order, kept]) backend.disposeData(dataId);
  return regions;
}

tf.registerKernel({
  kernelName: BATCHED_NMS,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    const backend = anyBackend as WebGpuBackend;
    const { iouThreshold, most } = attrs as unknown as BatchedNmsAttributes;
    const [boxes, scores, groups] = ['boxes', 'scores', 'groups'].map((name) => inputs[name] as tf.TensorInfo);
    const [count] = scores.shape;
    assertMatrixFits(backend, 1, count);
    const candidates = gatherCandidates(backend, 4, boxes, scores, groups);
    const { order, kept } = suppress(backend, candidates, iouThreshold, most);
    const indices = keptIndices(backend, order, kept);
    for (const { dataId } of [candidates, order, kept]) backend.disposeData(dataId);
    return indices;
  },
});

/**
 * Rows as candidates: numbers of the box, score and group; a row that is not finite has no box, and the score -Infinity.
 * @param columns of a row of `boxes`
 * @returns [1, N, columns + 2]
 */
export function gatherCandidates(
  backend: WebGpuBackend,
  columns: number,
  boxes: tf.TensorInfo,
  scores: tf.TensorInfo,
  groups: tf.TensorInfo,
): tf.TensorInfo {
  const [count] = scores.shape;
  const width = columns + 2;
  return runFlat(backend, {
    key: `nmsCandidates${columns}`,
    code: `
      fn isFinite(v : f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u; }
      fn run(index : i32) {
        var counts = isFinite(scores[index]);
        for (var k = 0; k < ${columns}; k++) { counts = counts && isFinite(boxes[${columns} * index + k]); }
        for (var k = 0; k < ${columns}; k++) { result[${width} * index + k] = select(0.0, boxes[${columns} * index + k], counts); }
        result[${width} * index + ${columns}] = select(-uniforms.INFINITY, scores[index], counts);
        result[${width} * index + ${columns + 1}] = f32(groups[index]);
      }`,
    inputs: [
      { name: 'boxes', tensor: boxes },
      { name: 'scores', tensor: scores },
      { name: 'groups', tensor: groups },
    ],
    uniforms: {},
    threads: count,
    output: [1, count, width],
  });
}
