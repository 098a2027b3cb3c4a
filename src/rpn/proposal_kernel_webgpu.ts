import * as tf from '@tensorflow/tfjs-core';
import { f32, i32, runFlat, type WebGpuBackend } from '../ops/kernels/webgpu_program.js';
import { CANDIDATE, suppressOnGpu } from '../ops/nms/webgpu.js';
import { BOX_OF, boxUniforms, cellsOf, largest } from './anchor_choice_webgpu.js';
import { type ProposalAttributes, RPN_PROPOSALS } from './proposal_kernel.js';

/** Decodes, checks and clips one level's chosen boxes into its part of the candidates, [N, C, 6]. */
function decode(
  backend: WebGpuBackend,
  level: number,
  [logits, deltas, chosen, sizes]: tf.TensorInfo[],
  first: number,
  candidates: tf.TensorInfo,
  { anchors, transform, selection }: ProposalAttributes,
): void {
  const [images] = logits.shape;
  const cells = cellsOf(backend, anchors, level);
  const k = chosen.shape[1];
  runFlat(backend, {
    key: 'rpnDecode',
    code: `${BOX_OF}
      fn isFinite4(v : vec4<f32>) -> bool {
        return all((bitcast<vec4<u32>>(v) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u));
      }
      fn run(index : i32) {
        let image = index / uniforms.k;
        let anchor = chosen[index];
        let source = image * uniforms.places + anchor;
        let box = boxOf(image, anchor);
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
      ...boxUniforms(logits.shape, anchors, transform, level),
      k: i32(k),
      candidates: i32(candidates.shape[1]),
      first: i32(first),
      level: i32(level),
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
