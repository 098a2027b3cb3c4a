import type * as tf from '@tensorflow/tfjs-core';
import {
  f32,
  GROUP_THREADS,
  i32,
  ORDERED_BITS,
  runFlat,
  type Uniform,
  type WebGpuBackend,
} from '../ops/kernels/webgpu_program.js';
import type { AnchorGenerator } from './anchor_generator.js';
import type { Box2BoxTransform } from './box_transform.js';

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Values that one group of threads looks through when there are more than {@link LONGEST}: the best of such slices go on. */
const SLICE = 16384;
const LONGEST = 65536;

/**
 * The indices of the `k` largest logits of each image of a level, in order of index; of equal ones the first. Long levels are cut into slices first.
 * @param logits [N, H, W, A] @returns [N, k]
 */
export function largest(backend: WebGpuBackend, logits: tf.TensorInfo, k: number): tf.TensorInfo {
  let candidates: tf.TensorInfo | undefined;
  let length = size(logits.shape) / logits.shape[0];
  while (length > LONGEST && 2 * k <= SLICE) {
    const slices = Math.ceil(length / SLICE);
    const best = largestOfSlices(backend, logits, candidates, { length, slices, sliceLength: SLICE, k });
    if (candidates) backend.disposeData(candidates.dataId);
    candidates = best;
    length = slices * k;
  }
  const chosen = largestOfSlices(backend, logits, candidates, { length, slices: 1, sliceLength: length, k });
  if (candidates) backend.disposeData(candidates.dataId);
  return chosen;
}

/**
 * The indices of the `k` largest logits of each slice, in order of index, -1 behind them where a slice has fewer. One group of threads for each slice
 * finds the k-th largest digit by digit, then counts where each thread's share of the result begins.
 * @param candidates [N, length] indices of the logits that count, -1 for none; all where there are none
 * @returns          [N, slices * k]
 */
function largestOfSlices(
  backend: WebGpuBackend,
  logits: tf.TensorInfo,
  candidates: tf.TensorInfo | undefined,
  { length, slices, sliceLength, k }: { length: number; slices: number; sliceLength: number; k: number },
): tf.TensorInfo {
  const images = logits.shape[0];
  return runFlat(backend, {
    key: candidates ? 'largestOfCandidates' : 'largest',
    code: `${ORDERED_BITS}
      var<workgroup> histogram : array<atomic<u32>, 256>;
      var<workgroup> above : array<i32, ${GROUP_THREADS}>;
      var<workgroup> equal : array<i32, ${GROUP_THREADS}>;
      var<workgroup> prefix : u32;
      var<workgroup> missing : i32;
      // What is none comes last.
      fn ordered(place : i32, image : i32) -> u32 {
        if (place < 0) { return 0u; }
        return orderedBits(logits[image * uniforms.total + place]);
      }
      // The index among an image's logits of what comes i-th.
      fn placeOf(i : i32, image : i32) -> i32 { return ${candidates ? 'candidates[image * uniforms.length + i]' : 'i'}; }
      fn run(group : i32, thread : i32) {
        let image = group / uniforms.slices;
        let first = group % uniforms.slices * uniforms.sliceLength;
        let count = min(uniforms.sliceLength, uniforms.length - first);
        let most = min(uniforms.k, count);
        if (thread == 0) { prefix = 0u; missing = most; }
        workgroupBarrier();
        for (var digit = 0u; digit < 4u; digit++) {
          atomicStore(&histogram[thread], 0u);
          workgroupBarrier();
          let shift = 24u - 8u * digit;
          let known = prefix;
          for (var i = thread; i < count; i += ${GROUP_THREADS}) {
            let key = ordered(placeOf(first + i, image), image);
            // Shifting by 32 is not defined: the first digit has no prefix to compare.
            if (digit == 0u || (key >> (shift + 8u)) == (known >> (shift + 8u))) { atomicAdd(&histogram[(key >> shift) & 255u], 1u); }
          }
          workgroupBarrier();
          if (thread == 0) {
            var bin = 255;
            var left = missing;
            loop {
              let here = i32(atomicLoad(&histogram[bin]));
              if (here >= left || bin == 0) { break; }
              left -= here;
              bin -= 1;
            }
            missing = left;
            prefix = known | (u32(bin) << shift);
          }
          workgroupBarrier();
        }
        // Each thread takes one stretch, so that the order of indices is kept.
        let stretch = (count + ${GROUP_THREADS - 1}) / ${GROUP_THREADS};
        let start = min(thread * stretch, count);
        let end = min(start + stretch, count);
        let least = prefix;
        var more = 0;
        var same = 0;
        for (var i = start; i < end; i++) {
          let key = ordered(placeOf(first + i, image), image);
          if (key > least) { more += 1; }
          if (key == least) { same += 1; }
        }
        above[thread] = more;
        equal[thread] = same;
        workgroupBarrier();
        var aboveBefore = 0;
        var equalBefore = 0;
        for (var t = 0; t < thread; t++) { aboveBefore += above[t]; equalBefore += equal[t]; }
        for (var i = start; i < end; i++) {
          let place = placeOf(first + i, image);
          let key = ordered(place, image);
          if (key < least || (key == least && equalBefore >= missing)) { continue; }
          result[group * uniforms.k + aboveBefore + min(equalBefore, missing)] = place;
          if (key > least) { aboveBefore += 1; } else { equalBefore += 1; }
        }
        for (var i = most + thread; i < uniforms.k; i += ${GROUP_THREADS}) { result[group * uniforms.k + i] = -1; }
      }`,
    inputs: [{ name: 'logits', tensor: logits }, ...(candidates ? [{ name: 'candidates', tensor: candidates }] : [])],
    uniforms: {
      total: i32(size(logits.shape) / images),
      length: i32(length),
      slices: i32(slices),
      sliceLength: i32(sliceLength),
      k: i32(k),
    },
    groups: images * slices,
    output: [images, slices * k],
    dtype: 'int32',
  });
}

/** `boxOf(image, anchor)`: an anchor's box of a level, decoded and not clipped. Needs the arrays `deltas` and `cells` and {@link boxUniforms}. */
export const BOX_OF = `
      fn boxOf(image : i32, anchor : i32) -> vec4<f32> {
        let cell = anchor % uniforms.perLocation;
        let location = anchor / uniforms.perLocation;
        let at = 4 * (image * uniforms.places + anchor);
        let x = (f32(location % uniforms.gridWidth) + uniforms.offset) * uniforms.strideX;
        let y = (f32(location / uniforms.gridWidth) + uniforms.offset) * uniforms.strideY;
        let a = vec4<f32>(cells[4 * cell], cells[4 * cell + 1], cells[4 * cell + 2], cells[4 * cell + 3]) + vec4<f32>(x, y, x, y);
        let size = a.zw - a.xy;
        let centre = a.xy + 0.5 * size;
        let moved = vec2<f32>(deltas[at] / uniforms.wx, deltas[at + 1] / uniforms.wy) * size + centre;
        let scale = min(vec2<f32>(deltas[at + 2] / uniforms.ww, deltas[at + 3] / uniforms.wh), vec2<f32>(uniforms.scaleClamp));
        let half = 0.5 * (exp(scale) * size);
        return vec4<f32>(moved - half, moved + half);
      }`;

/** A level's anchors at its first place, centred at 0: the array `cells`. */
export function cellsOf(backend: WebGpuBackend, anchors: AnchorGenerator, level: number): tf.TensorInfo {
  const cells = anchors.cellAnchors[level];
  return backend.makeTensorInfo([cells.length], 'float32', cells.slice());
}

/** What {@link BOX_OF} reads of a level whose map is [N, H, W, *]; `places` are its anchors. */
export function boxUniforms(
  [, height, width]: readonly number[],
  anchors: AnchorGenerator,
  transform: Box2BoxTransform,
  level: number,
): Record<string, Uniform> {
  const { offset, strideX, strideY } = anchors.grid(level);
  const [wx, wy, ww, wh] = transform.weights;
  return {
    places: i32(height * width * anchors.anchorsPerLocation),
    perLocation: i32(anchors.anchorsPerLocation),
    gridWidth: i32(width),
    offset: f32(offset),
    strideX: f32(strideX),
    strideY: f32(strideY),
    wx: f32(wx),
    wy: f32(wy),
    ww: f32(ww),
    wh: f32(wh),
    scaleClamp: f32(transform.scaleClamp),
  };
}
