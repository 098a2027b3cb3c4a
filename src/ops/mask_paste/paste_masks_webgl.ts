import * as tf from '@tensorflow/tfjs-core';
import { assertFloat32, float, int, runFragments, type WebglBackend } from '../kernels/webgl_program.js';
import { PASTE_MASKS, type PasteMasksAttributes, WORD } from './kernel_names.js';
import { pastePlaces } from './mask_paste.js';

tf.registerKernel({
  kernelName: PASTE_MASKS,
  backendName: 'webgl',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    assertFloat32('Mask pasting');
    const backend = anyBackend as WebglBackend;
    const masks = inputs.masks as tf.TensorInfo;
    const { boxes, height, width, threshold } = attrs as unknown as PasteMasksAttributes;
    const [count, size] = masks.shape;
    const perRow = Math.ceil(width / WORD);
    const shape = [count, height, perRow];
    if (count === 0) return backend.makeTensorInfo(shape, 'float32', new Float32Array(0));
    const table = pastePlaces(boxes, size, height, width);
    const places = backend.makeTensorInfo([table.length], 'float32', table);
    const words = runFragments(backend, {
      code: `
  float valueAt(int d, int row, int column) {
    if (row < 0 || column < 0 || row >= size || column >= size) return 0.0;
    return getMasks((d * size + row) * size + column);
  }
  float run(int index) {
    int line = index / perRow;
    int d = line / height;
    int first = 2 * d * (height + width);
    int down = first + 2 * (line - d * height);
    int row = int(getPlaces(down));
    float below = getPlaces(down + 1);
    int from = (index - line * perRow) * ${WORD};
    int bits = 0;
    for (int i = 0; i < ${WORD} && from + i < width; i++) {
      int across = first + 2 * (height + from + i);
      int column = int(getPlaces(across));
      float right = getPlaces(across + 1);
      float a = valueAt(d, row, column);
      float b = valueAt(d, row + 1, column);
      float upper = a + right * (valueAt(d, row, column + 1) - a);
      float lower = b + right * (valueAt(d, row + 1, column + 1) - b);
      if (upper + below * (lower - upper) >= threshold) bits |= 1 << i;
    }
    return float(bits);
  }`,
      inputs: { Masks: masks, Places: places },
      uniforms: { size: int(size), height: int(height), width: int(width), perRow: int(perRow), threshold: float(threshold) },
      output: shape,
    });
    backend.disposeIntermediateTensorInfo(places);
    return words;
  },
});
