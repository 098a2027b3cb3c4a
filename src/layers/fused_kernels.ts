import * as tf from '@tensorflow/tfjs-core';
import { type ConvolutionGeometry, fusedOps, presentFusedOps as ops } from '../backends/fused_ops.js';

/** A kernel per activation: what a gradient saves is fixed per kernel, and only the rectified one needs its output. */
const CONV = { linear: 'ConvBias', relu: 'ConvBiasRelu' } as const;
const PLAIN_CONV = 'PaddedConv';
const MATMUL = { linear: 'MatMulBias', relu: 'MatMulBiasRelu' } as const;

/** What follows the sums of a convolution or a product. */
export type Epilogue = keyof typeof CONV;

/**
 * Convolution, bias, addend and rectifier in one operation with one gradient, which keeps input and output only.
 *
 * @param x        [N, H, W, C]
 * @param filter   [kh, kw, C, K]
 * @param bias     [K]
 * @param residual [N, H', W', K], added before the rectifier
 * @returns [N, H', W', K], or undefined where the backend in use has no such operation
 */
export function fusedConv2d(
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  bias: tf.Tensor1D,
  residual: tf.Tensor4D | undefined,
  geometry: ConvolutionGeometry,
  epilogue: Epilogue,
): tf.Tensor4D | undefined {
  if (!fusedOps()) return undefined;
  const inputs = { x, filter, bias, ...(residual && { residual }) };
  const attributes = { ...geometry, withResidual: residual !== undefined };
  return tf.engine().runKernel<tf.Tensor4D>(CONV[epilogue], inputs, attributes);
}

/**
 * Convolution alone, with zeros on both sides and a gradient for what is asked for only.
 *
 * @param x      [N, H, W, C]
 * @param filter [kh, kw, C, K]
 * @returns [N, H', W', K], or undefined where the backend in use has no such operation
 */
export function plainConv2d(x: tf.Tensor4D, filter: tf.Tensor4D, geometry: ConvolutionGeometry): tf.Tensor4D | undefined {
  return fusedOps() && tf.engine().runKernel<tf.Tensor4D>(PLAIN_CONV, { x, filter }, { ...geometry });
}

/**
 * Matrix product, bias and rectifier in one operation with one gradient.
 *
 * @param a    [R, in]
 * @param b    [in, out]
 * @param bias [out]
 * @returns [R, out], or undefined where the backend in use has no such operation
 */
export function fusedMatMul(a: tf.Tensor2D, b: tf.Tensor2D, bias: tf.Tensor1D, epilogue: Epilogue): tf.Tensor2D | undefined {
  return fusedOps() && tf.engine().runKernel<tf.Tensor2D>(MATMUL[epilogue], { a, b, bias }, {});
}

interface ConvInputs {
  readonly x: tf.TensorInfo;
  readonly filter: tf.TensorInfo;
  readonly bias: tf.TensorInfo;
  readonly residual?: tf.TensorInfo;
}

interface MatMulInputs {
  readonly a: tf.TensorInfo;
  readonly b: tf.TensorInfo;
  readonly bias: tf.TensorInfo;
}

interface ConvAttributes extends ConvolutionGeometry {
  readonly withResidual: boolean;
}

for (const epilogue of ['linear', 'relu'] as const) {
  const relu = epilogue === 'relu';
  tf.registerKernel({
    kernelName: CONV[epilogue],
    backendName: 'tensorflow',
    kernelFunc: ({ inputs, attrs }) => {
      const { x, filter, bias, residual } = inputs as unknown as ConvInputs;
      return ops().conv2d(x, filter, bias, attrs as unknown as ConvAttributes, relu, residual);
    },
  });
  tf.registerGradient({
    kernelName: CONV[epilogue],
    inputsToSave: ['x', 'filter'],
    outputsToSave: [relu],
    gradFunc: (dy, [x, filter, y], attributes) => {
      const { withResidual, ...geometry } = attributes as unknown as ConvAttributes;
      const { shape } = x;
      const before = beforeActivation(dy as tf.Tensor, y);
      return {
        x: () => ops().conv2dInputGradient(before.value, filter, shape, geometry),
        filter: () => {
          const gradient = ops().conv2dFilterGradient(before.value, x, filter.shape, geometry);
          x.dispose();
          return gradient;
        },
        bias: () => {
          const gradient = ops().biasGradient(before.value);
          if (!withResidual) before.release();
          return gradient;
        },
        ...(withResidual && { residual: () => tf.clone(before.value) }),
      };
    },
  });
  tf.registerKernel({
    kernelName: MATMUL[epilogue],
    backendName: 'tensorflow',
    kernelFunc: ({ inputs }) => {
      const { a, b, bias } = inputs as unknown as MatMulInputs;
      return ops().matMul(a, b, bias, relu);
    },
  });
  tf.registerGradient({
    kernelName: MATMUL[epilogue],
    inputsToSave: ['a', 'b'],
    outputsToSave: [relu],
    gradFunc: (dy, [a, b, y]) => {
      const before = beforeActivation(dy as tf.Tensor, y);
      return {
        a: () => ops().plainMatMul(before.value, b, false, true),
        b: () => {
          const gradient = ops().plainMatMul(a, before.value, true, false);
          a.dispose();
          return gradient;
        },
        bias: () => {
          const gradient = ops().biasGradient(before.value);
          before.release();
          return gradient;
        },
      };
    },
  });
}

tf.registerKernel({
  kernelName: PLAIN_CONV,
  backendName: 'tensorflow',
  kernelFunc: ({ inputs, attrs }) => {
    const { x, filter } = inputs as unknown as ConvInputs;
    return ops().plainConv2d(x, filter, attrs as unknown as ConvolutionGeometry);
  },
});
tf.registerGradient({
  kernelName: PLAIN_CONV,
  inputsToSave: ['x', 'filter'],
  gradFunc: (dys, [x, filter], attributes) => {
    const [dy, geometry] = [dys as tf.Tensor, attributes as unknown as ConvolutionGeometry];
    return {
      x: () => ops().conv2dInputGradient(dy, filter, x.shape, geometry),
      filter: () => ops().conv2dFilterGradient(dy, x, filter.shape, geometry),
    };
  },
});

/**
 * The gradient before the rectifier, shared by those of all inputs. It and what was saved would live to the end of the backward pass if the last
 * that needs them did not let go; a tape is therefore walked once.
 */
function beforeActivation(dy: tf.Tensor, y: tf.Tensor | undefined): { value: tf.Tensor; release(): void } {
  if (!y) return { value: dy, release: () => undefined };
  const value = ops().reluGradient(dy, y);
  y.dispose();
  return { value, release: () => value.dispose() };
}
