// Convolutions and products of matrices on wasm otherwise than by TensorFlow.js, where that takes less time; importing this file registers them.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import { threadsOf } from '../../ops/kernels/kernel_threads.js';
import type { WasmBackend } from '../../ops/kernels/wasm_heap.js';
import { type KernelCall, precedeWasmKernel } from './replace_kernel.js';
import { transposedProduct } from '../../ops/kernels/wasm_filter_gradient.js';
import { suitsProduct, wasmProduct } from '../../ops/kernels/wasm_products.js';
import { turnFilter } from '../../ops/kernels/wasm_turn_filter.js';
import { winogradConv2d } from '../../ops/kernels/wasm_winograd.js';

type Shape4D = [number, number, number, number];

interface ConvInputs {
  readonly x: tf.TensorInfo;
  readonly filter: tf.TensorInfo;
  readonly bias?: tf.TensorInfo;
}

interface ProductInputs {
  readonly a: tf.TensorInfo;
  readonly b: tf.TensorInfo;
  readonly bias?: tf.TensorInfo;
}

/** An activation that ours do, and a bias for each channel or none. */
function isPlain(activation: string | undefined, bias: tf.TensorInfo | undefined): boolean {
  return ['linear', 'relu'].includes(activation ?? 'linear') && (!bias || bias.shape.length === 1);
}

function conv2d({ inputs, attrs, backend }: KernelCall): tf.TensorInfo | undefined {
  const { x, filter, bias } = inputs as unknown as ConvInputs;
  const { strides, dilations, pad, dimRoundingMode, dataFormat, activation } = attrs as unknown as tf.FusedConv2DAttrs;
  const [height, width] = filter.shape;
  if (height !== width || (height !== 3 && height !== 1)) return undefined;
  if (!isPlain(activation, bias) || (dataFormat ?? 'NHWC') !== 'NHWC') return undefined;
  const [input, kernel] = [x.shape as Shape4D, filter.shape as Shape4D];
  const info = tf.backend_util.computeConv2DInfo(input, kernel, strides, dilations, pad, dimRoundingMode);
  const more = { ...(bias && { bias }), relu: activation === 'relu' };
  if (height === 3) return winogradConv2d(backend as WasmBackend, { x, filter, ...more, groups: 1 }, info);
  const { inHeight, inWidth, outHeight, outWidth, strideHeight, strideWidth, padInfo } = info;
  // As many rows out as in does not exclude a border on one side, and a stride that skips it.
  const everyPixel = outHeight === inHeight && outWidth === inWidth && strideHeight === 1 && strideWidth === 1;
  if (!everyPixel || padInfo.top !== 0 || padInfo.left !== 0) return undefined;
  return wasmProduct(backend as WasmBackend, {
    x,
    w: filter,
    ...more,
    rows: info.batchSize * outHeight * outWidth,
    channels: info.inChannels,
    outs: info.outChannels,
    outShape: [...info.outShape],
  });
}

function matMul({ inputs, attrs, backend }: KernelCall): tf.TensorInfo | undefined {
  const { a, b, bias } = inputs as unknown as ProductInputs;
  const { transposeA, transposeB, activation } = attrs as unknown as tf._FusedMatMulAttrs;
  const [rows, channels] = a.shape.slice(-2);
  const outs = b.shape.at(-1)!;
  const matrices = a.shape.length === b.shape.length && [...a.shape.slice(0, -2), ...b.shape.slice(0, -2)].every((n) => n === 1);
  if (!matrices || !isPlain(activation, bias)) return undefined;
  if (transposeA || transposeB)
    return bias || activation ? undefined : transposedMatMul(backend as WasmBackend, a, b, transposeA, transposeB);
  if (bias && bias.shape[0] !== outs) return undefined;
  const outShape = [...a.shape.slice(0, -1), outs];
  const relu = activation === 'relu';
  return wasmProduct(backend as WasmBackend, { x: a, w: b, ...(bias && { bias }), relu, rows, channels, outs, outShape });
}

/** Products of which one factor is transposed: the gradients of a product. */
function transposedMatMul(
  backend: WasmBackend,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  transposeA: boolean,
  transposeB: boolean,
): tf.TensorInfo | undefined {
  if (transposeA && transposeB) return undefined;
  const [[aRows, aColumns], [bRows, bColumns]] = [a.shape.slice(-2), b.shape.slice(-2)];
  const batch = a.shape.slice(0, -2);
  if (transposeA) {
    const outShape = [...batch, aColumns, bColumns];
    return transposedProduct(backend, { x: a, dy: b, channels: aColumns, outs: bColumns, outShape, places: aRows });
  }
  if (!suitsProduct(aRows, aColumns, bRows)) return undefined;
  const turned = tf.tidy(() => turnFilter(tf.reshape(b as tf.Tensor, [1, 1, bRows, bColumns])));
  const product = {
    x: a,
    w: turned,
    relu: false,
    rows: aRows,
    channels: aColumns,
    outs: bRows,
    outShape: [...batch, aRows, bRows],
  };
  const y = wasmProduct(backend, product);
  turned.dispose();
  return y;
}

// TensorFlow.js disposes of kernels when the backend is removed.
precedeWasmKernel('Conv2D', conv2d, (backend) => threadsOf(backend)?.dispose());
precedeWasmKernel('FusedConv2D', conv2d);
precedeWasmKernel('BatchMatMul', matMul);
precedeWasmKernel('_FusedMatMul', matMul);
