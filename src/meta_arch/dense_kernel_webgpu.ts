import * as tf from '@tensorflow/tfjs-core';
import { i32, runFlat, type WebGpuBackend } from '../ops/kernels/webgpu_program.js';
import { BOX_OF, boxUniforms, cellsOf, largest } from '../rpn/anchor_choice_webgpu.js';
import { CANDIDATE_COLUMNS, DENSE_CANDIDATES, type DenseAttributes } from './dense_kernel.js';

tf.registerKernel({
  kernelName: DENSE_CANDIDATES,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    const backend = anyBackend as WebGpuBackend;
    const { anchors, transform, numClasses, topK } = attrs as unknown as DenseAttributes;
    const levels = Array.from({ length: Object.keys(inputs).length / 2 }, (_, level) => {
      const logits = inputs[`logits${level}`] as tf.TensorInfo;
      const [, height, width, values] = logits.shape;
      return { logits, deltas: inputs[`deltas${level}`] as tf.TensorInfo, k: Math.min(height * width * values, topK) };
    });
    const images = levels[0].logits.shape[0];
    const count = levels.reduce((sum, { k }) => sum + k, 0);
    const candidates = backend.makeTensorInfo([images, count, CANDIDATE_COLUMNS], 'float32');
    let first = 0;
    let firstAnchor = 0;
    levels.forEach(({ logits, deltas, k }, level) => {
      const [, height, width] = logits.shape;
      const chosen = largest(backend, logits, k);
      const cells = cellsOf(backend, anchors, level);
      runFlat(backend, {
        key: 'denseDecode',
        code: `${BOX_OF}
      fn run(index : i32) {
        let image = index / uniforms.k;
        let choice = chosen[index];
        let anchor = choice / uniforms.classes;
        let box = boxOf(image, anchor);
        let to = ${CANDIDATE_COLUMNS} * (image * uniforms.candidates + uniforms.first + index % uniforms.k);
        for (var i = 0; i < 4; i++) { result[to + i] = box[i]; }
        result[to + 4] = logits[image * uniforms.places * uniforms.classes + choice];
        result[to + 5] = f32(choice % uniforms.classes);
        result[to + 6] = f32(uniforms.firstAnchor + anchor);
      }`,
        inputs: [
          { name: 'logits', tensor: logits },
          { name: 'deltas', tensor: deltas },
          { name: 'chosen', tensor: chosen },
          { name: 'cells', tensor: cells },
        ],
        uniforms: {
          ...boxUniforms(logits.shape, anchors, transform, level),
          k: i32(k),
          classes: i32(numClasses),
          candidates: i32(count),
          first: i32(first),
          firstAnchor: i32(firstAnchor),
        },
        threads: images * k,
        output: candidates,
      });
      for (const { dataId } of [chosen, cells]) backend.disposeData(dataId);
      first += k;
      firstAnchor += height * width * anchors.anchorsPerLocation;
    });
    return candidates;
  },
});
