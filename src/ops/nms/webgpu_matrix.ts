import type { TensorInfo } from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';
import { f32, GROUP_THREADS, i32, ORDERED_BITS, runFlat, type Uniform, type WebGpuBackend } from '../kernels/webgpu_program.js';
import type { IouComparison } from './iou_comparison.js';

/** Words of the bit matrix's rows: a row is a candidate, its bits are those that it suppresses. */
export const wordsOf = (count: number): number => Math.ceil(count / 32);

/** Words that the group's memory has room for in the walk: few different sizes, for each is a program. */
const capacityOf = (count: number): number => 2 ** Math.max(8, Math.ceil(Math.log2(wordsOf(count))));

/** Arrays of words, and single numbers, that the walk keeps in the group's memory. */
const ARRAYS = 3;
const SINGLE_BYTES = 16;

/** @throws BackendError where the bit matrix, or a walk through it, is too large for the device */
export function assertMatrixFits({ device: { limits } }: WebGpuBackend, images: number, count: number): void {
  const bytes = 4 * images * count * wordsOf(count);
  const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  const shared = 4 * ARRAYS * capacityOf(count) + SINGLE_BYTES;
  if (bytes <= most && shared <= limits.maxComputeWorkgroupStorageSize) return;
  const [need, has] = [bytes, most].map((n) => Math.ceil(n / 2 ** 20));
  throw new BackendError(
    `Suppression on webgpu among ${count} boxes${images > 1 ? ` of each of ${images} images` : ''} needs a matrix of ${need} MiB and ` +
      `${shared} bytes of a group's memory; this device has ${has} MiB and ${limits.maxComputeWorkgroupStorageSize} bytes. ` +
      'Suppress among fewer (a higher score threshold, fewer images at once), or take wasm.',
  );
}

/**
 * Indices by decreasing score, image after image: ranks by counting; equal scores keep their order.
 * @param values floats, those of `stride` a candidate, with the score at `at`
 * @returns      [N, C] int32
 */
export function orderByScore(
  backend: WebGpuBackend,
  values: TensorInfo,
  { images, count, stride, at }: { images: number; count: number; stride: number; at: number },
): TensorInfo {
  // As whole numbers of the same order, side by side: each of them is read by all.
  const keys = runFlat(backend, {
    key: 'nmsKeys',
    code: `${ORDERED_BITS}
      fn run(index : i32) { result[index] = bitcast<i32>(orderedBits(values[uniforms.stride * index + uniforms.at]) ^ 0x80000000u); }`,
    inputs: [{ name: 'values', tensor: values }],
    uniforms: { stride: i32(stride), at: i32(at) },
    threads: images * count,
    output: [images, count],
    dtype: 'int32',
  });
  const order = runFlat(backend, {
    key: 'nmsOrder',
    code: `
      fn run(index : i32) {
        let first = index / uniforms.count * uniforms.count;
        let own = keys[index];
        var rank = 0;
        for (var j = first; j < first + uniforms.count; j++) {
          let other = keys[j];
          if (other > own || (other == own && j < index)) { rank += 1; }
        }
        result[first + rank] = index - first;
      }`,
    inputs: [{ name: 'keys', tensor: keys }],
    uniforms: { count: i32(count) },
    threads: images * count,
    output: [images, count],
    dtype: 'int32',
  });
  backend.disposeData(keys.dataId);
  return order;
}

/**
 * Walks through the bit matrix of each image, best candidate first: who is not suppressed by then stays and suppresses what its row says.
 * @param matrix [N, C, words] int32; only bits of later places count
 * @param reach  [N, 2], of which the first is how many places are taken: those of no candidate come last
 * @param most   of the kept to give out
 * @returns      [N, 1 + most] int32: how many, then the places of the kept; -1 where there are fewer
 */
export function walk(backend: WebGpuBackend, matrix: TensorInfo, reach: TensorInfo, most: number): TensorInfo {
  const [images, count, words] = matrix.shape;
  const capacity = capacityOf(count);
  return runFlat(backend, {
    key: `nmsWalk_${capacity}`,
    code: `
      var<workgroup> removed : array<i32, ${capacity}>;
      var<workgroup> kept : array<i32, ${capacity}>;
      var<workgroup> before : array<i32, ${capacity}>;
      var<workgroup> total : i32;
      fn run(group : i32, thread : i32) {
        let first = group * uniforms.count;
        let taken = i32(reach[2 * group]);
        for (var w = thread; w < uniforms.words; w += ${GROUP_THREADS}) { removed[w] = 0; }
        if (thread == 0) { total = 0; }
        workgroupBarrier();
        for (var w = 0; w < uniforms.words; w++) {
          if (thread == 0) {
            var gone = removed[w];
            var stays = 0;
            for (var i = w * 32; i < min(w * 32 + 32, taken); i++) {
              let bit = 1 << u32(i - w * 32);
              if ((gone & bit) == 0) {
                stays |= bit;
                gone |= matrix[(first + i) * uniforms.words + w];
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
        let to = group * (uniforms.most + 1) + 1;
        for (var i = thread; i < taken; i += ${GROUP_THREADS}) {
          let w = i / 32;
          let b = u32(i % 32);
          if ((kept[w] & (1 << b)) == 0) { continue; }
          let slot = before[w] + countOneBits(kept[w] & ((1 << b) - 1));
          if (slot < uniforms.most) { result[to + slot] = i; }
        }
        let given = min(total, uniforms.most);
        for (var slot = given + thread; slot < uniforms.most; slot += ${GROUP_THREADS}) { result[to + slot] = -1; }
        if (thread == 0) { result[to - 1] = given; }
      }`,
    inputs: [
      { name: 'matrix', tensor: matrix },
      { name: 'reach', tensor: reach },
    ],
    uniforms: { count: i32(count), words: i32(words), most: i32(most) },
    groups: images,
    output: [images, most + 1],
    dtype: 'int32',
  });
}

/** One image's kept places as its candidates' indices, with their number before them. @returns [1 + most] int32 */
export function keptIndices(backend: WebGpuBackend, order: TensorInfo, kept: TensorInfo): TensorInfo {
  const length = kept.shape[1];
  return runFlat(backend, {
    key: 'nmsIndices',
    code: `
      fn run(index : i32) {
        let place = kept[index];
        var found = place;
        if (index > 0 && place >= 0) { found = order[place]; }
        result[index] = found;
      }`,
    inputs: [
      { name: 'order', tensor: order },
      { name: 'kept', tensor: kept },
    ],
    uniforms: {},
    threads: length,
    output: [length],
    dtype: 'int32',
  });
}

/** What the comparison of an IoU with its threshold reads. */
export function comparisonUniforms({ surely, barely, middleHigh, middleLow, exponent }: IouComparison): Record<string, Uniform> {
  return {
    surely: f32(surely),
    barely: f32(barely),
    middleHigh: i32(middleHigh),
    middleLow: i32(middleLow),
    exponent: i32(exponent),
  };
}
