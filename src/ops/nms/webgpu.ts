import type { TensorInfo } from '@tensorflow/tfjs-core';
import { f32, GROUP_THREADS, i32, runFlat, type WebGpuBackend } from '../kernels/webgpu_program.js';
import { float32NotAbove, OFFSET_TRICK_BOXES } from './nms.js';

/** Numbers of a candidate: x0, y0, x1, y1, score, group; a score of -Infinity is no candidate. */
export const CANDIDATE = 6;

/**
 * Non-maximum suppression within groups, on the GPU and without a read-back, for several images at once; the rules of `batchedNms`.
 *
 * Ranks by counting, a matrix of bits for the pairs that suppress each other, and one walk through it for each image, 32 candidates at a time.
 *
 * @param candidates [N, C, 6] as {@link CANDIDATE} says; equal scores keep their order
 * @param most       of the kept to give out
 * @returns          [N * most, 6] as (image, x0, y0, x1, y1, score), best first; rows that are left over have boxes of zeros and score -Infinity
 */
export function suppressOnGpu(backend: WebGpuBackend, candidates: TensorInfo, iouThreshold: number, most: number): TensorInfo {
  const [images, count] = candidates.shape;
  const words = Math.ceil(count / 32);
  const sizes = { count: i32(count), words: i32(words) };
  const sorted = runFlat(backend, {
    key: 'nmsSort',
    code: `
      fn run(index : i32) {
        let first = index / uniforms.count * uniforms.count;
        let score = candidates[6 * index + 4];
        var rank = 0;
        for (var j = first; j < first + uniforms.count; j++) {
          let other = candidates[6 * j + 4];
          if (other > score || (other == score && j < index)) { rank += 1; }
        }
        for (var k = 0; k < 6; k++) { result[6 * (first + rank) + k] = candidates[6 * index + k]; }
      }`,
    inputs: [{ name: 'candidates', tensor: candidates }],
    uniforms: sizes,
    threads: images * count,
    output: candidates.shape,
  });
  // How many candidates an image has and how far its boxes reach: up to 1000 boxes, groups are told apart by moving them, whose rounding counts.
  const pitch = runFlat(backend, {
    key: 'nmsPitch',
    code: `
      var<workgroup> farthest : array<f32, ${GROUP_THREADS}>;
      var<workgroup> found : array<i32, ${GROUP_THREADS}>;
      fn run(group : i32, thread : i32) {
        var far = -uniforms.INFINITY;
        var n = 0;
        for (var i = thread; i < uniforms.count; i += ${GROUP_THREADS}) {
          let at = 6 * (group * uniforms.count + i);
          if (sorted[at + 4] > -uniforms.INFINITY) {
            n += 1;
            far = max(far, max(max(sorted[at], sorted[at + 1]), max(sorted[at + 2], sorted[at + 3])));
          }
        }
        farthest[thread] = far;
        found[thread] = n;
        workgroupBarrier();
        if (thread == 0) {
          for (var t = 1; t < ${GROUP_THREADS}; t++) { far = max(far, farthest[t]); n += found[t]; }
          // Negative: the groups stay where they are and are compared by their numbers.
          result[group] = select(-1.0, far + 1.0, n > 0 && n <= ${OFFSET_TRICK_BOXES});
        }
      }`,
    inputs: [{ name: 'sorted', tensor: sorted }],
    uniforms: sizes,
    groups: images,
    output: [images],
  });
  const matrix = runFlat(backend, {
    key: 'nmsMatrix',
    code: `
      fn run(index : i32) {
        let word = index % uniforms.words;
        let row = index / uniforms.words;
        let image = row / uniforms.count;
        let i = row % uniforms.count;
        var bits = 0;
        if (word * 32 + 31 > i && sorted[6 * row + 4] > -uniforms.INFINITY) {
          let step = pitch[image];
          let group = sorted[6 * row + 5];
          let shift = max(step, 0.0) * group;
          let x0 = sorted[6 * row] + shift;
          let y0 = sorted[6 * row + 1] + shift;
          let x1 = sorted[6 * row + 2] + shift;
          let y1 = sorted[6 * row + 3] + shift;
          let area = (x1 - x0) * (y1 - y0);
          for (var b = 0; b < 32; b++) {
            let j = word * 32 + b;
            if (j <= i || j >= uniforms.count) { continue; }
            let at = 6 * (image * uniforms.count + j);
            if (sorted[at + 4] == -uniforms.INFINITY || (step < 0.0 && sorted[at + 5] != group)) { continue; }
            let away = max(step, 0.0) * sorted[at + 5];
            let u0 = sorted[at] + away;
            let v0 = sorted[at + 1] + away;
            let u1 = sorted[at + 2] + away;
            let v1 = sorted[at + 3] + away;
            let overlap = max(min(x1, u1) - max(x0, u0), 0.0) * max(min(y1, v1) - max(y0, v0), 0.0);
            // Two boxes without area divide 0 by 0, and both stay.
            if (overlap > 0.0 && overlap / (area + (u1 - u0) * (v1 - v0) - overlap) > uniforms.threshold) { bits |= 1 << u32(b); }
          }
        }
        result[index] = bits;
      }`,
    inputs: [
      { name: 'sorted', tensor: sorted },
      { name: 'pitch', tensor: pitch },
    ],
    uniforms: { ...sizes, threshold: f32(float32NotAbove(iouThreshold)) },
    threads: images * count * words,
    output: [images, count, words],
    dtype: 'int32',
  });
  // The matrix is at most a few thousand candidates wide; their bits lie in the group's memory.
  const capacity = 2 ** Math.max(8, Math.ceil(Math.log2(words)));
  const kept = runFlat(backend, {
    key: `nmsWalk_${capacity}`,
    code: `
      var<workgroup> removed : array<i32, ${capacity}>;
      var<workgroup> kept : array<i32, ${capacity}>;
      var<workgroup> before : array<i32, ${capacity}>;
      var<workgroup> total : i32;
      fn run(group : i32, thread : i32) {
        let first = group * uniforms.count;
        for (var w = thread; w < uniforms.words; w += ${GROUP_THREADS}) { removed[w] = 0; }
        if (thread == 0) { total = 0; }
        workgroupBarrier();
        for (var w = 0; w < uniforms.words; w++) {
          if (thread == 0) {
            var gone = removed[w];
            var stays = 0;
            for (var b = 0; b < 32; b++) {
              let i = w * 32 + b;
              if (i >= uniforms.count) { break; }
              let row = first + i;
              if ((gone & (1 << u32(b))) == 0 && sorted[6 * row + 4] > -uniforms.INFINITY) {
                stays |= 1 << u32(b);
                gone |= matrix[row * uniforms.words + w];
              }
            }
            kept[w] = stays;
            before[w] = total;
            total += countOneBits(stays);
          }
          workgroupBarrier();
          let stays = kept[w];
          for (var v = w + 1 + thread; v < uniforms.words; v += ${GROUP_THREADS}) {
            var gone = removed[v];
            for (var b = 0; b < 32; b++) {
              if ((stays & (1 << u32(b))) != 0) { gone |= matrix[(first + w * 32 + b) * uniforms.words + v]; }
            }
            removed[v] = gone;
          }
          workgroupBarrier();
        }
        for (var i = thread; i < uniforms.count; i += ${GROUP_THREADS}) {
          let w = i / 32;
          let b = u32(i % 32);
          if ((kept[w] & (1 << b)) == 0) { continue; }
          let slot = before[w] + countOneBits(kept[w] & ((1 << b) - 1));
          if (slot >= uniforms.most) { continue; }
          let to = 6 * (group * uniforms.most + slot);
          let at = 6 * (first + i);
          result[to] = f32(group);
          for (var k = 0; k < 5; k++) { result[to + 1 + k] = sorted[at + k]; }
        }
        for (var slot = min(total, uniforms.most) + thread; slot < uniforms.most; slot += ${GROUP_THREADS}) {
          let to = 6 * (group * uniforms.most + slot);
          result[to] = f32(group);
          for (var k = 1; k < 5; k++) { result[to + k] = 0.0; }
          result[to + 5] = -uniforms.INFINITY;
        }
      }`,
    inputs: [
      { name: 'sorted', tensor: sorted },
      { name: 'matrix', tensor: matrix },
    ],
    uniforms: { ...sizes, most: i32(most) },
    groups: images,
    output: [images * most, CANDIDATE],
  });
  for (const { dataId } of [sorted, pitch, matrix]) backend.disposeData(dataId);
  return kept;
}
