import * as tf from '@tensorflow/tfjs-core';
import { f32, GROUP_THREADS, i32, ORDERED_BITS, runFlat, type WebGpuBackend } from '../ops/kernels/webgpu_program.js';
import { CANDIDATE, suppressOnGpu } from '../ops/nms/webgpu.js';
import { type ProposalAttributes, RPN_PROPOSALS } from './proposal_kernel.js';

/**
 * The indices of the `k` largest logits of each image of a level, in order of index; of equal ones the first. One group of threads for each
 * image finds the k-th largest digit by digit, then counts where each thread's share of the result begins.
 * @returns [N, k]
 */
function largest(backend: WebGpuBackend, logits: tf.TensorInfo, k: number): tf.TensorInfo {
  const [images, height, width, anchors] = logits.shape;
  const length = height * width * anchors;
  return runFlat(backend, {
    key: 'rpnLargest',
    code: `${ORDERED_BITS}
      var<workgroup> histogram : array<atomic<u32>, 256>;
      var<workgroup> above : array<i32, ${GROUP_THREADS}>;
      var<workgroup> equal : array<i32, ${GROUP_THREADS}>;
      var<workgroup> prefix : u32;
      var<workgroup> missing : i32;
      fn ordered(at : i32) -> u32 { return orderedBits(logits[at]); }
      fn run(group : i32, thread : i32) {
        let first = group * uniforms.length;
        if (thread == 0) { prefix = 0u; missing = uniforms.k; }
        workgroupBarrier();
        for (var digit = 0u; digit < 4u; digit++) {
          atomicStore(&histogram[thread], 0u);
          workgroupBarrier();
          let shift = 24u - 8u * digit;
          let known = prefix;
          for (var i = thread; i < uniforms.length; i += ${GROUP_THREADS}) {
            let key = ordered(first + i);
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
        let stretch = (uniforms.length + ${GROUP_THREADS - 1}) / ${GROUP_THREADS};
        let start = min(thread * stretch, uniforms.length);
        let end = min(start + stretch, uniforms.length);
        let least = prefix;
        var more = 0;
        var same = 0;
        for (var i = start; i < end; i++) {
          let key = ordered(first + i);
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
          let key = ordered(first + i);
          if (key < least || (key == least && equalBefore >= missing)) { continue; }
          result[group * uniforms.k + aboveBefore + min(equalBefore, missing)] = i;
          if (key > least) { aboveBefore += 1; } else { equalBefore += 1; }
        }
      }`,
    inputs: [{ name: 'logits', tensor: logits }],
    uniforms: { length: i32(length), k: i32(k) },
    groups: images,
    output: [images, k],
    dtype: 'int32',
  });
}

/** Decodes, checks and clips one level's chosen boxes into its part of the candidates, [N, C, 6]. */
function decode(
  backend: WebGpuBackend,
  level: number,
  [logits, deltas, chosen, sizes]: tf.TensorInfo[],
  first: number,
  candidates: tf.TensorInfo,
  { anchors, transform, selection }: ProposalAttributes,
): void {
  const [images, height, width, perLocation] = logits.shape;
  const { offset, strideX, strideY } = anchors.grid(level);
  const cells = backend.makeTensorInfo([anchors.cellAnchors[level].length], 'float32', anchors.cellAnchors[level].slice());
  const [wx, wy, ww, wh] = transform.weights;
  const k = chosen.shape[1];
  runFlat(backend, {
    key: 'rpnDecode',
    code: `
      fn isFinite4(v : vec4<f32>) -> bool {
        return all((bitcast<vec4<u32>>(v) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u));
      }
      fn run(index : i32) {
        let image = index / uniforms.k;
        let anchor = chosen[index];
        let cell = anchor % uniforms.perLocation;
        let location = anchor / uniforms.perLocation;
        let source = image * uniforms.length + anchor;
        let x = (f32(location % uniforms.gridWidth) + uniforms.offset) * uniforms.strideX;
        let y = (f32(location / uniforms.gridWidth) + uniforms.offset) * uniforms.strideY;
        let a = vec4<f32>(cells[4 * cell], cells[4 * cell + 1], cells[4 * cell + 2], cells[4 * cell + 3]) + vec4<f32>(x, y, x, y);
        let size = a.zw - a.xy;
        let centre = a.xy + 0.5 * size;
        let moved = vec2<f32>(deltas[4 * source] / uniforms.wx, deltas[4 * source + 1] / uniforms.wy) * size + centre;
        let scale = min(vec2<f32>(deltas[4 * source + 2] / uniforms.ww, deltas[4 * source + 3] / uniforms.wh), vec2<f32>(uniforms.scaleClamp));
        let half = 0.5 * (exp(scale) * size);
        let box = vec4<f32>(moved - half, moved + half);
        let score = logits[source];
        let limit = vec2<f32>(imageSizes[2 * image + 1], imageSizes[2 * image]);
        let clipped = clamp(box, vec4<f32>(0.0), vec4<f32>(limit, limit));
        let extent = clipped.zw - clipped.xy;
        let counts = isFinite4(box) && isFinite4(vec4<f32>(score)) && all(extent > vec2<f32>(uniforms.minBoxSize));
        let to = 6 * (image * uniforms.candidates + uniforms.first + index % uniforms.k);
        for (var i = 0; i < 4; i++) { result[to + i] = select(0.0, clipped[i], counts); }
        result[to + 4] = select(-uniforms.INFINITY, score, counts);
        result[to + 5] = f32(uniforms.level);
      }`,
    inputs: [
      { name: 'logits', tensor: logits },
      { name: 'deltas', tensor: deltas },
      { name: 'chosen', tensor: chosen },
      { name: 'cells', tensor: cells },
      { name: 'imageSizes', tensor: sizes },
    ],
    uniforms: {
      k: i32(k),
      length: i32(height * width * perLocation),
      perLocation: i32(perLocation),
      gridWidth: i32(width),
      candidates: i32(candidates.shape[1]),
      first: i32(first),
      level: i32(level),
      offset: f32(offset),
      strideX: f32(strideX),
      strideY: f32(strideY),
      wx: f32(wx),
      wy: f32(wy),
      ww: f32(ww),
      wh: f32(wh),
      scaleClamp: f32(transform.scaleClamp),
      minBoxSize: f32(selection.minBoxSize),
    },
    threads: images * k,
    output: candidates,
  });
  backend.disposeData(cells.dataId);
}

tf.registerKernel({
  kernelName: RPN_PROPOSALS,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    const backend = anyBackend as WebGpuBackend;
    const attributes = attrs as unknown as ProposalAttributes;
    const { selection, imageSizes } = attributes;
    const images = imageSizes.length;
    const levels = Array.from({ length: Object.keys(inputs).length / 2 }, (_, level) => {
      const logits = inputs[`logits${level}`] as tf.TensorInfo;
      const [, height, width, anchors] = logits.shape;
      return {
        logits,
        deltas: inputs[`deltas${level}`] as tf.TensorInfo,
        k: Math.min(height * width * anchors, selection.preNmsTopK),
      };
    });
    const count = levels.reduce((sum, { k }) => sum + k, 0);
    const candidates = backend.makeTensorInfo([images, count, CANDIDATE], 'float32');
    const sizes = backend.makeTensorInfo([images, 2], 'float32', Float32Array.from(imageSizes.flat()));
    let first = 0;
    levels.forEach(({ logits, deltas, k }, level) => {
      const chosen = largest(backend, logits, k);
      decode(backend, level, [logits, deltas, chosen, sizes], first, candidates, attributes);
      backend.disposeData(chosen.dataId);
      first += k;
    });
    const proposals = suppressOnGpu(backend, candidates, selection.nmsThreshold, selection.postNmsTopK);
    for (const { dataId } of [candidates, sizes]) backend.disposeData(dataId);
    return proposals;
  },
});
