import * as tf from '@tensorflow/tfjs-core';
import { pixelsAtStride } from './kernels/tensorflow_conv2d_backprop_filter.js';

/** An attribute of a TensorFlow operation, as tfjs-node's binding takes it. */
interface Attribute {
  name: string;
  type: number;
  value: number | boolean | string | readonly number[] | readonly string[];
}

/** What is used of the TensorFlow backend (tfjs-node). */
export interface TensorflowBackend {
  binding: {
    executeOp(name: string, attributes: Attribute[], inputs: number[], outputs: number): unknown[];
    isUsingGpuDevice(): boolean;
    TF_FLOAT: number;
    TF_ATTR_TYPE: number;
    TF_ATTR_STRING: number;
    TF_ATTR_INT: number;
    TF_ATTR_BOOL: number;
    TF_ATTR_FLOAT: number;
  };
  executeSingleOutput(name: string, attributes: Attribute[], inputs: tf.TensorInfo[]): tf.Tensor;
  executeMultipleOutputs(name: string, attributes: Attribute[], inputs: tf.TensorInfo[], outputs: number): tf.Tensor[];
  readSync(dataId: tf.DataId): unknown;
  /** Private in the backend's types. */
  getInputTensorIds(tensors: tf.TensorInfo[]): number[];
}

/** From how many channels and tiles (of 2x2 outputs) on Winograd's convolution takes less processor time: from 0.8 to 0.4 of TensorFlow's. */
const LEAST_CHANNELS = 16;
const LEAST_TILES = 48;

/** Where a convolution's window goes; zeros on each side, in pixels. */
export interface ConvolutionGeometry {
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
}

/** How {@link FusedOps.conv3x3} is done. */
interface Conv3x3Options {
  readonly bias?: tf.TensorInfo;
  /** Of the output's shape, added before the rectifier. */
  readonly addend?: tf.TensorInfo;
  readonly relu?: boolean;
  /** With the filter turned by half a circle and its channels exchanged: the gradient for the input of the convolution with that filter. */
  readonly transposed?: boolean;
}

/**
 * TensorFlow's operations that add the bias and rectify while the sums are in the cache, and its gradients by name. The addon that `maskrcnn setup`
 * builds can call them, tfjs-node's own cannot: its binding knows no attributes that are lists of strings.
 */
export class FusedOps {
  /** False for an addon of an older set-up, which has no {@link conv3x3}. */
  hasConv3x3 = false;
  /** False for an addon of an older set-up, which has that but not its gradient for the filter. */
  hasFilterGradient = false;

  constructor(private readonly backend: TensorflowBackend) {}

  /**
   * relu(x * filter + bias + addend) or, without relu, x * filter + bias + addend. x [N, H, W, C], filter [kh, kw, C, K], bias [K],
   * addend [N, H', W', K].
   */
  conv2d(
    x: tf.TensorInfo,
    filter: tf.TensorInfo,
    bias: tf.TensorInfo,
    geometry: ConvolutionGeometry,
    relu: boolean,
    addend?: tf.TensorInfo,
  ): tf.Tensor {
    if (this.prefersConv3x3(x.shape, filter.shape, geometry)) {
      return this.conv3x3(x, filter, { bias, relu, ...(addend && { addend }) });
    }
    const y = this.fusedConv2d(x, filter, bias, geometry, relu && !addend);
    if (addend) this.addInPlace(y, addend, relu);
    return y;
  }

  /**
   * A convolution of 3x3 at stride 1 with a border of one zero, by Winograd's F(2x2, 3x3) (Lavin and Gray, 2015): 2.25 times fewer multiplications.
   * x [N, H, W, C], filter [3, 3, C, K], bias [K], addend [N, H, W, K].
   */
  conv3x3(x: tf.TensorInfo, filter: tf.TensorInfo, options: Conv3x3Options): tf.Tensor {
    const { TF_ATTR_BOOL, TF_ATTR_INT } = this.backend.binding;
    const { bias, addend, relu = false, transposed = false } = options;
    if (addend && !bias) throw new Error('an addend goes with a bias');
    const more = [bias, addend].filter((tensor) => tensor !== undefined);
    return this.backend.executeSingleOutput(
      'MaskRcnnConv3x3',
      [
        { name: 'num_args', type: TF_ATTR_INT, value: more.length },
        { name: 'relu', type: TF_ATTR_BOOL, value: relu },
        { name: 'transposed', type: TF_ATTR_BOOL, value: transposed },
      ],
      [x, filter, ...more],
    );
  }

  /** x * filter alone. */
  plainConv2d(x: tf.TensorInfo, filter: tf.TensorInfo, geometry: ConvolutionGeometry): tf.Tensor {
    if (this.prefersConv3x3(x.shape, filter.shape, geometry)) return this.conv3x3(x, filter, {});
    return this.backend.executeSingleOutput('Conv2D', this.convolution(geometry), [x, filter]);
  }

  /** The convolution's gradient for its input. */
  conv2dInputGradient(
    dy: tf.TensorInfo,
    filter: tf.TensorInfo,
    shape: readonly number[],
    geometry: ConvolutionGeometry,
  ): tf.Tensor {
    if (this.prefersConv3x3(dy.shape, filter.shape, geometry)) return this.conv3x3(dy, filter, { transposed: true });
    return this.withShape(shape, (sizes) =>
      this.backend.executeSingleOutput('Conv2DBackpropInput', this.convolution(geometry), [sizes, filter, dy]),
    );
  }

  /** The gradient of {@link conv3x3} for its filter, [3, 3, C, K]. x [N, H, W, C], dy [N, H, W, K]. */
  conv3x3FilterGradient(x: tf.TensorInfo, dy: tf.TensorInfo): tf.Tensor {
    return this.backend.executeSingleOutput('MaskRcnnConv3x3FilterGradient', [], [x, dy]);
  }

  /** The convolution's gradient for its filter. */
  conv2dFilterGradient(dy: tf.TensorInfo, x: tf.TensorInfo, shape: readonly number[], geometry: ConvolutionGeometry): tf.Tensor {
    if (this.hasFilterGradient && this.prefersConv3x3(x.shape, shape, geometry)) return this.conv3x3FilterGradient(x, dy);
    const { stride, padding } = geometry;
    if (shape[0] === 1 && shape[1] === 1 && stride > 1 && padding === 0) {
      const seen = pixelsAtStride(x, dy, [stride, stride]);
      const gradient = this.conv2dFilterGradient(dy, seen, shape, { ...geometry, stride: 1 });
      seen.dispose();
      return gradient;
    }
    return this.withShape(shape, (sizes) =>
      this.backend.executeSingleOutput('Conv2DBackpropFilter', this.convolution(geometry), [x, sizes, dy]),
    );
  }

  /** The gradient for a bias: sums over all axes but the last. */
  biasGradient(dy: tf.TensorInfo): tf.Tensor {
    const { TF_ATTR_STRING } = this.backend.binding;
    const format = { name: 'data_format', type: TF_ATTR_STRING, value: 'NHWC' };
    return this.backend.executeSingleOutput('BiasAddGrad', [this.floats(), format], [dy]);
  }

  /** The gradient before a rectifier: dy where y is positive. */
  reluGradient(dy: tf.TensorInfo, y: tf.TensorInfo): tf.Tensor {
    return this.backend.executeSingleOutput('ReluGrad', [this.floats()], [dy, y]);
  }

  relu(x: tf.TensorInfo): tf.Tensor {
    return this.backend.executeSingleOutput('Relu', [this.floats()], [x]);
  }

  /**
   * Batch norm by the statistics of the batch. x [N, H, W, C], scale and shift [C].
   * @returns the map, mean [C], variance [C] with Bessel's correction, and two tensors [C] for the gradient
   */
  batchNorm(x: tf.TensorInfo, scale: tf.TensorInfo, shift: tf.TensorInfo, epsilon: number): tf.Tensor[] {
    const { TF_ATTR_FLOAT } = this.backend.binding;
    const none = tf.tensor1d([]);
    const factor = { name: 'exponential_avg_factor', type: TF_ATTR_FLOAT, value: 1 };
    const attributes = [...this.batchStatistics(epsilon), factor];
    const outputs = this.backend.executeMultipleOutputs('FusedBatchNormV3', attributes, [x, scale, shift, none, none], 6);
    tf.dispose([none, outputs[5]!]);
    return outputs.slice(0, 5);
  }

  /** @returns the gradients for x, scale and shift; `kept` are the last two results of `batchNorm` */
  batchNormGradient(
    dy: tf.TensorInfo,
    x: tf.TensorInfo,
    scale: tf.TensorInfo,
    kept: readonly [tf.TensorInfo, tf.TensorInfo],
    epsilon: number,
  ): tf.Tensor[] {
    const none = tf.tensor1d([]);
    const inputs = [dy, x, scale, ...kept, none];
    const outputs = this.backend.executeMultipleOutputs('FusedBatchNormGradV3', this.batchStatistics(epsilon), inputs, 5);
    tf.dispose([none, ...outputs.slice(3)]);
    return outputs.slice(0, 3);
  }

  private batchStatistics(epsilon: number): Attribute[] {
    const { TF_ATTR_TYPE, TF_FLOAT, TF_ATTR_FLOAT, TF_ATTR_STRING, TF_ATTR_BOOL } = this.backend.binding;
    return [
      this.floats(),
      { name: 'U', type: TF_ATTR_TYPE, value: TF_FLOAT },
      { name: 'epsilon', type: TF_ATTR_FLOAT, value: epsilon },
      { name: 'data_format', type: TF_ATTR_STRING, value: 'NHWC' },
      { name: 'is_training', type: TF_ATTR_BOOL, value: true },
    ];
  }

  /** relu(a b + bias) or a b + bias. a [R, in], b [in, out], bias [out]. */
  matMul(a: tf.TensorInfo, b: tf.TensorInfo, bias: tf.TensorInfo, relu: boolean): tf.Tensor {
    return this.backend.executeSingleOutput('_FusedMatMul', [...this.product(false, false), ...this.fused(relu)], [a, b, bias]);
  }

  /** The product of two matrices, each transposed or not. */
  plainMatMul(a: tf.TensorInfo, b: tf.TensorInfo, transposeA: boolean, transposeB: boolean): tf.Tensor {
    return this.backend.executeSingleOutput('MatMul', this.product(transposeA, transposeB), [a, b]);
  }

  /** y = y + addend, or relu of it, in the memory of y: only for a y that nobody else has seen yet. */
  addInPlace(y: tf.TensorInfo, addend: tf.TensorInfo, relu: boolean): void {
    const name = relu ? 'MaskRcnnAddReluInPlace' : 'MaskRcnnAddInPlace';
    this.backend.binding.executeOp(name, [], this.backend.getInputTensorIds([y, addend]), 0);
  }

  private fusedConv2d(
    x: tf.TensorInfo,
    filter: tf.TensorInfo,
    bias: tf.TensorInfo,
    geometry: ConvolutionGeometry,
    relu: boolean,
  ): tf.Tensor {
    const { TF_ATTR_TYPE, TF_FLOAT } = this.backend.binding;
    return this.backend.executeSingleOutput(
      '_FusedConv2D',
      [...this.convolution(geometry), ...this.fused(relu), { name: 'TArgs', type: TF_ATTR_TYPE, value: [TF_FLOAT] }],
      [x, filter, bias],
    );
  }

  /** Where {@link conv3x3} costs less: to transform the filter takes as long for one tile as for a thousand. */
  private prefersConv3x3(x: readonly number[], filter: readonly number[], geometry: ConvolutionGeometry): boolean {
    const [height, width, in_, out] = filter;
    return (
      this.hasConv3x3 &&
      height === 3 &&
      width === 3 &&
      geometry.stride === 1 &&
      geometry.padding === 1 &&
      geometry.dilation === 1 &&
      Math.min(in_, out) >= LEAST_CHANNELS &&
      x[0] * Math.ceil(x[1] / 2) * Math.ceil(x[2] / 2) >= LEAST_TILES
    );
  }

  private convolution({ stride, padding, dilation }: ConvolutionGeometry): Attribute[] {
    const { TF_ATTR_STRING, TF_ATTR_INT } = this.backend.binding;
    const explicit = padding > 0;
    return [
      this.floats(),
      { name: 'strides', type: TF_ATTR_INT, value: [1, stride, stride, 1] },
      { name: 'padding', type: TF_ATTR_STRING, value: explicit ? 'EXPLICIT' : 'VALID' },
      {
        name: 'explicit_paddings',
        type: TF_ATTR_INT,
        value: explicit ? [0, 0, padding, padding, padding, padding, 0, 0] : [],
      },
      { name: 'data_format', type: TF_ATTR_STRING, value: 'NHWC' },
      { name: 'dilations', type: TF_ATTR_INT, value: [1, dilation, dilation, 1] },
    ];
  }

  private product(transposeA: boolean, transposeB: boolean): Attribute[] {
    const { TF_ATTR_BOOL } = this.backend.binding;
    return [
      this.floats(),
      { name: 'transpose_a', type: TF_ATTR_BOOL, value: transposeA },
      { name: 'transpose_b', type: TF_ATTR_BOOL, value: transposeB },
    ];
  }

  private fused(relu: boolean): Attribute[] {
    const { TF_ATTR_STRING, TF_ATTR_INT } = this.backend.binding;
    return [
      { name: 'num_args', type: TF_ATTR_INT, value: 1 },
      { name: 'fused_ops', type: TF_ATTR_STRING, value: relu ? ['BiasAdd', 'Relu'] : ['BiasAdd'] },
    ];
  }

  private floats(): Attribute {
    return { name: 'T', type: this.backend.binding.TF_ATTR_TYPE, value: this.backend.binding.TF_FLOAT };
  }

  private withShape(shape: readonly number[], run: (sizes: tf.Tensor) => tf.Tensor): tf.Tensor {
    const sizes = tf.tensor1d([...shape], 'int32');
    const result = run(sizes);
    sizes.dispose();
    return result;
  }
}

const known = new WeakMap<object, FusedOps | false>();

/** The fused operations of the backend in use, where it is TensorFlow's on a CPU with an addon that can call them and they compute right. */
export function fusedOps(): FusedOps | undefined {
  if (tf.getBackend() !== 'tensorflow') return undefined;
  const backend = tf.backend() as unknown as TensorflowBackend;
  let ops = known.get(backend);
  if (ops === undefined) {
    ops = works(new FusedOps(backend), backend);
    known.set(backend, ops);
  }
  return ops || undefined;
}

/** The same inside a kernel of theirs, which runs only where they are. */
export function presentFusedOps(): FusedOps {
  const found = fusedOps();
  if (!found) throw new Error('the backend in use has no fused operations');
  return found;
}

/** Tries all of them on numbers that are known: 1x1 maps and filters. */
function works(ops: FusedOps, backend: TensorflowBackend): FusedOps | false {
  if (backend.binding.isUsingGpuDevice()) return false;
  const tensors: tf.Tensor[] = [];
  const used = <T extends tf.Tensor>(tensor: T): T => {
    tensors.push(tensor);
    return tensor;
  };
  try {
    const x = used(tf.tensor4d([1, -2], [1, 1, 2, 1]));
    const filter = used(tf.tensor4d([3], [1, 1, 1, 1]));
    const bias = used(tf.tensor1d([0.5]));
    const flat = { stride: 1, padding: 0, dilation: 1 };
    const y = used(ops.conv2d(x, filter, bias, flat, true));
    const sum = used(ops.conv2d(x, filter, bias, flat, false));
    ops.addInPlace(sum, y, true);
    const a = used(tf.tensor2d([1, -2], [2, 1]));
    const b = used(tf.tensor2d([3], [1, 1]));
    const product = used(ops.matMul(a, b, bias, false));
    const numbers = [y, sum, product].flatMap((tensor) => [...(backend.readSync(tensor.dataId) as Float32Array)]);
    if (![3.5, 0, 7, 0, 3.5, -5.5].every((right, i) => numbers[i] === right)) return false;
    ops.hasConv3x3 = conv3x3Works(ops, backend);
    ops.hasFilterGradient = ops.hasConv3x3 && filterGradientWorks(ops, backend);
    return ops;
  } catch {
    return false;
  } finally {
    tf.dispose(tensors);
  }
}

/** One pixel, which sees only the middle of the filter: whole numbers, so that nothing is rounded. */
function conv3x3Works(ops: FusedOps, backend: TensorflowBackend): boolean {
  const channels = 33;
  const pixel = Float32Array.from({ length: channels }, (_, i) => (i % 5) - 2);
  const weights = Float32Array.from({ length: 9 * channels * channels }, (_, i) => (i % 7) - 3);
  const x = tf.tensor4d(pixel, [1, 1, 1, channels]);
  const filter = tf.tensor4d(weights, [3, 3, channels, channels]);
  const bias = tf.tensor1d(pixel);
  let y: tf.Tensor | undefined;
  try {
    y = ops.conv3x3(x, filter, { bias });
    const numbers = backend.readSync(y.dataId) as Float32Array;
    return pixel.every((start, out) => {
      const right = pixel.reduce((sum, value, i) => sum + value * weights[(4 * channels + i) * channels + out], start);
      return numbers[out] === right;
    });
  } catch {
    return false;
  } finally {
    tf.dispose(y ? [x, filter, bias, y] : [x, filter, bias]);
  }
}

/** One pixel again: only the middle of the filter has a gradient. */
function filterGradientWorks(ops: FusedOps, backend: TensorflowBackend): boolean {
  const [x, dy] = [tf.tensor4d([2, -3], [1, 1, 1, 2]), tf.tensor4d([5, 7, -11], [1, 1, 1, 3])];
  let gradient: tf.Tensor | undefined;
  try {
    gradient = ops.conv3x3FilterGradient(x, dy);
    const middle = (backend.readSync(gradient.dataId) as Float32Array).subarray(4 * 6, 5 * 6);
    return [10, 14, -22, -15, -21, 33].every((right, i) => middle[i] === right);
  } catch {
    return false;
  } finally {
    tf.dispose(gradient ? [x, dy, gradient] : [x, dy]);
  }
}
