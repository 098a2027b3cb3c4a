import * as tf from '@tensorflow/tfjs-core';
import { f32, i32, runFlat, type WebGpuBackend } from '../kernels/webgpu_program.js';
import { PASTE_MASKS, type PasteMasksAttributes, WORD } from './kernel_names.js';
import { pastePlaces } from './mask_paste.js';

tf.registerKernel({
  kernelName: PASTE_MASKS,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    const backend = anyBackend as WebGpuBackend;
    const masks = inputs.masks as tf.TensorInfo;
    const { boxes, height, width, threshold } = attrs as unknown as PasteMasksAttributes;
    const [count, size] = masks.shape;
    const perRow = Math.ceil(width / WORD);
    const shape = [count, height, perRow];
    if (count === 0) return backend.makeTensorInfo(shape, 'float32', new Float32Array(0));
    const table = pastePlaces(boxes, size, height, width);
    const places = backend.makeTensorInfo([table.length], 'float32', table);
    const words = runFlat(backend, {
      key: 'pasteMasks',
      code: `
      fn valueAt(d : i32, row : i32, column : i32) -> f32 {
        if (row < 0 || column < 0 || row >= uniforms.size || column >= uniforms.size) { return 0.0; }
        return masks[(d * uniforms.size + row) * uniforms.size + column];
      }
      fn run(index : i32) {
        let y = index / uniforms.perRow % uniforms.height;
        let d = index / (uniforms.perRow * uniforms.height);
        let first = 2 * d * (uniforms.height + uniforms.width);
        let row = i32(places[first + 2 * y]);
        let down = places[first + 2 * y + 1];
        var bits = 0;
        for (var i = 0; i < ${WORD}; i++) {
          let x = index % uniforms.perRow * ${WORD} + i;
          if (x >= uniforms.width) { break; }
          let at = first + 2 * (uniforms.height + x);
          let column = i32(places[at]);
          let across = places[at + 1];
          let a = valueAt(d, row, column);
          let b = valueAt(d, row + 1, column);
          let upper = a + across * (valueAt(d, row, column + 1) - a);
          let lower = b + across * (valueAt(d, row + 1, column + 1) - b);
          if (upper + down * (lower - upper) >= uniforms.threshold) { bits |= 1 << u32(i); }
        }
        result[index] = f32(bits);
      }`,
      inputs: [
        { name: 'masks', tensor: masks },
        { name: 'places', tensor: places },
      ],
      uniforms: { size: i32(size), height: i32(height), width: i32(width), perRow: i32(perRow), threshold: f32(threshold) },
      threads: count * height * perRow,
      output: shape,
    });
    backend.disposeData(places.dataId);
    return words;
  },
});
