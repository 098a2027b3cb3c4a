import * as tf from '@tensorflow/tfjs-core';
import { float, int, runFragments, type WebglBackend } from '../ops/kernels/webgl_program.js';
import { f32, i32, runFlat, type WebGpuBackend } from '../ops/kernels/webgpu_program.js';

/** Inputs: `logits` [N, H, W, K]; output: one picture's classes, [height * width] float32. Registered where enlarged logits would fill the GPU's memory. */
const SEMANTIC_LABELS = 'SemanticLabels';

interface LabelAttributes {
  readonly image: number;
  readonly inputSize: readonly [number, number];
  readonly outputSize: readonly [number, number];
}

/**
 * The class of every pixel (Detectron2's `sem_seg_postprocess`, then the largest logit): each picture's part of the logits, resized to the output. On webgpu
 * and webgl by a kernel that is compiled once, whatever the sizes.
 * @param logits      [N, H, W, K] at the padded input's resolution
 * @param inputSizes  (height, width) of each picture inside the padded input
 * @param outputSizes (height, width) of each result
 * @returns           [total] whole numbers, picture after picture, each row-major; of equal logits the first class
 */
export function semanticLabels(
  logits: tf.Tensor4D,
  inputSizes: readonly (readonly [number, number])[],
  outputSizes: readonly (readonly [number, number])[],
): tf.Tensor1D {
  return tf.tidy(() => {
    const pictures = inputSizes.map((inputSize, image) => labelsOf(logits, { image, inputSize, outputSize: outputSizes[image] }));
    return pictures.length === 1 ? pictures[0] : tf.concat(pictures);
  });
}

function labelsOf(logits: tf.Tensor4D, attributes: LabelAttributes): tf.Tensor1D {
  if (tf.getKernel(SEMANTIC_LABELS, tf.getBackend()) !== undefined)
    return tf.engine().runKernel(SEMANTIC_LABELS, { logits }, attributes as unknown as tf.NamedAttrMap) as tf.Tensor1D;
  const { image, inputSize, outputSize } = attributes;
  return tf.reshape(tf.argMax(semanticScores(logits, image, inputSize, outputSize), 3), [-1]);
}

/**
 * A picture's part of the logits, resized to the output (Detectron2's `sem_seg_postprocess`).
 * @param logits     [N, H, W, K] at the padded input's resolution
 * @param image      which of the N
 * @param inputSize  (height, width) of the picture inside the padded input
 * @param outputSize (height, width) of the result
 * @returns          [1, height, width, K]
 */
export function semanticScores(
  logits: tf.Tensor4D,
  image: number,
  inputSize: readonly [number, number],
  outputSize: readonly [number, number],
): tf.Tensor4D {
  return tf.tidy(() => {
    const own = tf.slice(logits, [image, 0, 0, 0], [1, inputSize[0], inputSize[1], logits.shape[3]]);
    return tf.image.resizeBilinear(own, [outputSize[0], outputSize[1]], false, true);
  });
}

/** Sizes by name, `own` those of the picture inside the padded input. */
function sizesOf(logits: tf.TensorInfo, { image, inputSize, outputSize }: LabelAttributes) {
  return {
    image,
    height: logits.shape[1],
    width: logits.shape[2],
    classes: logits.shape[3],
    ownHeight: inputSize[0],
    ownWidth: inputSize[1],
    outWidth: outputSize[1],
  };
}

/** Input pixels for each output pixel. */
function scalesOf({ inputSize, outputSize }: LabelAttributes) {
  return { scaleY: inputSize[0] / outputSize[0], scaleX: inputSize[1] / outputSize[1] };
}

const mapValues = <T, R>(values: Record<string, T>, map: (value: T) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, map(value)]));

tf.registerKernel({
  kernelName: SEMANTIC_LABELS,
  backendName: 'webgpu',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const [logits, o] = [inputs.logits as tf.TensorInfo, attrs as unknown as LabelAttributes];
    const pixels = o.outputSize[0] * o.outputSize[1];
    return runFlat(backend as WebGpuBackend, {
      key: 'semanticLabels',
      code: `
      fn run(index : i32) {
        let own = vec2<f32>(f32(uniforms.ownHeight), f32(uniforms.ownWidth));
        let pixel = vec2<f32>(f32(index / uniforms.outWidth), f32(index % uniforms.outWidth));
        // Half-pixel centres; the border repeats.
        let place = clamp((pixel + 0.5) * vec2<f32>(uniforms.scaleY, uniforms.scaleX) - 0.5, vec2<f32>(0.0), own - 1.0);
        let low = vec2<i32>(place);
        let high = min(low + 1, vec2<i32>(own) - 1);
        let part = place - vec2<f32>(low);
        let top = (uniforms.image * uniforms.height + low.x) * uniforms.width;
        let bottom = (uniforms.image * uniforms.height + high.x) * uniforms.width;
        var best = 0;
        var largest = 0.0;
        for (var k = 0; k < uniforms.classes; k++) {
          let upper = mix(logits[(top + low.y) * uniforms.classes + k], logits[(top + high.y) * uniforms.classes + k], part.y);
          let lower = mix(logits[(bottom + low.y) * uniforms.classes + k], logits[(bottom + high.y) * uniforms.classes + k], part.y);
          let value = mix(upper, lower, part.x);
          if (k == 0 || value > largest) { best = k; largest = value; }
        }
        result[index] = f32(best);
      }`,
      inputs: [{ name: 'logits', tensor: logits }],
      uniforms: { ...mapValues(sizesOf(logits, o), i32), ...mapValues(scalesOf(o), f32) },
      threads: pixels,
      output: [pixels],
    });
  },
});

tf.registerKernel({
  kernelName: SEMANTIC_LABELS,
  backendName: 'webgl',
  kernelFunc: ({ inputs, attrs, backend }) => {
    const [logits, o] = [inputs.logits as tf.TensorInfo, attrs as unknown as LabelAttributes];
    return runFragments(backend as WebglBackend, {
      code: `
  float run(int index) {
    vec2 own = vec2(ownHeight, ownWidth);
    int row = index / outWidth;
    vec2 pixel = vec2(row, index - row * outWidth);
    // Half-pixel centres; the border repeats.
    vec2 place = clamp((pixel + 0.5) * vec2(scaleY, scaleX) - 0.5, vec2(0.0), own - 1.0);
    ivec2 low = ivec2(place);
    ivec2 high = min(low + 1, ivec2(own) - 1);
    vec2 part = place - vec2(low);
    int top = (image * height + low.x) * width;
    int bottom = (image * height + high.x) * width;
    int best = 0;
    float largest = 0.0;
    for (int k = 0; k < classes; k++) {
      float upper = mix(getLogits((top + low.y) * classes + k), getLogits((top + high.y) * classes + k), part.y);
      float lower = mix(getLogits((bottom + low.y) * classes + k), getLogits((bottom + high.y) * classes + k), part.y);
      float value = mix(upper, lower, part.x);
      if (k == 0 || value > largest) { best = k; largest = value; }
    }
    return float(best);
  }`,
      inputs: { Logits: logits },
      uniforms: { ...mapValues(sizesOf(logits, o), int), ...mapValues(scalesOf(o), float) },
      output: [o.outputSize[0] * o.outputSize[1]],
    });
  },
});
