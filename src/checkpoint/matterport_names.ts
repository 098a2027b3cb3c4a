import { CheckpointError } from '../errors.js';
import { TensorData } from './tensor_data.js';

/** Keras' default in Matterport's batch norms, and Detectron2's. */
const KERAS_EPSILON = 1e-3;
const EPSILON = 1e-5;

/** A layer's weights by Keras' names: kernel, bias; gamma, beta, moving_mean, moving_variance. */
type Layer = ReadonlyMap<string, TensorData>;

const LAYER =
  /^(conv1|bn_conv1|(res|bn)\d[a-z]_branch\w+|fpn_\w+|rpn_(conv_shared|class_raw|bbox_pred)|mrcnn_(class_conv\d|class_bn\d|class_logits|bbox_fc|mask|mask_conv\d|mask_bn\d|mask_deconv))$/;

/** The layers that make a Keras file Matterport's, for messages. */
export const MATTERPORT_LAYERS =
  'conv1, res2a_branch2a, ..., fpn_c5p5, rpn_class_raw, mrcnn_class_logits, mrcnn_bbox_fc, mrcnn_mask';

/** The weights of a Keras file by layer: of `save_weights`, or of `model.save` (below `model_weights`), whatever groups lie around a layer. */
function layersOf(tensors: ReadonlyMap<string, TensorData>): Map<string, Map<string, TensorData>> {
  const layers = new Map<string, Map<string, TensorData>>();
  for (const [path, tensor] of tensors) {
    const groups = path.split('/');
    const weight = groups.pop()!.replace(/:\d+$/, '');
    const layer = groups.find((name) => LAYER.test(name));
    if (layer === undefined || groups[0] === 'optimizer_weights') continue;
    if (!layers.has(layer)) layers.set(layer, new Map());
    layers.get(layer)!.set(weight, tensor);
  }
  return layers;
}

/** Whether these are the names of Matterport's Mask R-CNN in a file of Keras. */
export function isMatterport(tensors: ReadonlyMap<string, TensorData>): boolean {
  const layers = layersOf(tensors);
  return ['conv1', 'res2a_branch2a', 'rpn_class_raw', 'mrcnn_class_logits'].every((name) => layers.has(name));
}

/**
 * The tensors of Matterport's Mask R-CNN (TensorFlow 1 naming) under Detectron2's names and axes. What two conventions compute in different ways comes out the
 * same: biases and the epsilon of the backbone's norms go into their statistics, the heads' norms into the weights before them; the two scores of an anchor
 * become their difference; (dy, dx, dh, dw) become (dx, dy, dw, dh); the background goes last in the classes' scores and away from boxes and masks.
 * @returns the tensors, what the metadata has to say of them, and the paths of the file that are no weights of the model
 * @throws CheckpointError naming a layer that is missing or has other axes
 */
export function convertMatterport(tensors: ReadonlyMap<string, TensorData>): {
  tensors: Map<string, TensorData>;
  metadata: Record<string, string>;
  ignored: string[];
} {
  const file = new Layers(layersOf(tensors));
  const out = new Map<string, TensorData>();
  const put = (name: string, { weight, bias }: Affine): void => {
    out.set(`${name}.weight`, weight);
    out.set(`${name}.bias`, bias);
  };
  backbone(file, out);
  for (const level of [2, 3, 4, 5]) {
    put(`backbone.fpn_lateral${level}`, file.convolution(`fpn_c${level}p${level}`));
    put(`backbone.fpn_output${level}`, file.convolution(`fpn_p${level}`));
  }
  const rpn = 'proposal_generator.rpn_head';
  put(`${rpn}.conv`, file.convolution('rpn_conv_shared'));
  put(`${rpn}.objectness_logits`, pairDifferences(file.convolution('rpn_class_raw')));
  put(`${rpn}.anchor_deltas`, xBeforeY(file.convolution('rpn_bbox_pred')));
  const head = 'roi_heads.box_head';
  put(`${head}.fc1`, flattened(folded(file.convolution('mrcnn_class_conv1'), file.norm('mrcnn_class_bn1'))));
  put(`${head}.fc2`, flattened(folded(file.convolution('mrcnn_class_conv2'), file.norm('mrcnn_class_bn2'))));
  const scores = file.dense('mrcnn_class_logits');
  put('roi_heads.box_predictor.cls_score', { weight: scores.weight.firstRowLast(), bias: scores.bias.firstRowLast() });
  put('roi_heads.box_predictor.bbox_pred', withoutRows(xBeforeY(file.dense('mrcnn_bbox_fc')), 4));
  if (file.has('mrcnn_mask')) {
    const mask = 'roi_heads.mask_head';
    for (let i = 1; file.has(`mrcnn_mask_conv${i}`); i++)
      put(`${mask}.mask_fcn${i}`, folded(file.convolution(`mrcnn_mask_conv${i}`), file.norm(`mrcnn_mask_bn${i}`)));
    put(`${mask}.deconv`, file.deconvolution('mrcnn_mask_deconv'));
    put(`${mask}.predictor`, withoutRows(file.convolution('mrcnn_mask'), 1));
  }
  const ignored = [...tensors.keys()].filter((path) => path.startsWith('optimizer_weights/'));
  return { tensors: out, metadata: { conventions: 'matterport' }, ignored };
}

/** Convolutions without bias and frozen norms, as Detectron2's: bias and epsilon go into the norm's mean and variance. */
function backbone(file: Layers, out: Map<string, TensorData>): void {
  const put = (name: string, conv: string, norm: string): void => {
    const { weight, bias } = file.convolution(conv);
    const { gamma, beta, mean, variance } = file.norm(norm);
    const shift = bias.toFloat32();
    out.set(`${name}.weight`, weight);
    out.set(`${name}.norm.weight`, vector(gamma));
    out.set(`${name}.norm.bias`, vector(beta));
    out.set(`${name}.norm.running_mean`, vector(mean.map((m, i) => m - shift[i])));
    out.set(`${name}.norm.running_var`, vector(variance.map((v) => v + (KERAS_EPSILON - EPSILON))));
  };
  const body = 'backbone.bottom_up';
  put(`${body}.stem.conv1`, 'conv1', 'bn_conv1');
  for (const stage of [2, 3, 4, 5]) {
    for (let i = 0; i === 0 || file.has(`res${stage}${letter(i)}_branch2a`); i++) {
      const [branch, norm] = ['res', 'bn'].map((kind) => `${kind}${stage}${letter(i)}_branch`);
      ['2a', '2b', '2c'].forEach((part, k) => put(`${body}.res${stage}.${i}.conv${k + 1}`, branch + part, norm + part));
      if (i === 0) put(`${body}.res${stage}.0.shortcut`, `${branch}1`, `${norm}1`);
    }
  }
}

const letter = (i: number): string => String.fromCharCode('a'.charCodeAt(0) + i);

interface Affine {
  readonly weight: TensorData;
  readonly bias: TensorData;
}

interface Norm {
  readonly gamma: Float32Array;
  readonly beta: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

/** Keras' layers in Detectron2's axes. */
class Layers {
  constructor(private readonly layers: ReadonlyMap<string, Layer>) {}

  has(name: string): boolean {
    return this.layers.has(name);
  }

  /** (height, width, in, out) as (out, in, height, width). */
  convolution(name: string): Affine {
    return this.affine(name, [3, 2, 0, 1], 0);
  }

  /** Keras keeps the transposed kernel as (height, width, out, in), Detectron2 as (in, out, height, width). */
  deconvolution(name: string): Affine {
    return this.affine(name, [3, 2, 0, 1], 1);
  }

  dense(name: string): Affine {
    return this.affine(name, [1, 0], 0);
  }

  norm(name: string): Norm {
    const part = (weight: string): Float32Array => this.weight(name, weight).toFloat32();
    return { gamma: part('gamma'), beta: part('beta'), mean: part('moving_mean'), variance: part('moving_variance') };
  }

  private affine(name: string, order: readonly number[], outAxis: number): Affine {
    const kernel = this.weight(name, 'kernel');
    if (kernel.shape.length !== order.length)
      throw new CheckpointError(`the kernel of '${name}' is [${kernel.shape.join(', ')}]; expected ${order.length} axes`);
    const weight = kernel.permuted(order);
    return { weight, bias: this.layers.get(name)!.get('bias') ?? vector(new Float32Array(weight.shape[outAxis])) };
  }

  private weight(layer: string, name: string): TensorData {
    const tensor = this.layers.get(layer)?.get(name);
    if (tensor) return tensor;
    throw new CheckpointError(`a Mask R-CNN of Matterport's without the ${name} of the layer '${layer}'`);
  }
}

/** A norm behind a convolution, in its weights. */
function folded({ weight, bias }: Affine, { gamma, beta, mean, variance }: Norm): Affine {
  const scale = gamma.map((g, i) => g / Math.sqrt(variance[i] + KERAS_EPSILON));
  const shift = bias.toFloat32();
  return {
    weight: eachRow(weight, (values, row) => values.map((v) => v * scale[row])),
    bias: vector(scale.map((s, i) => (shift[i] - mean[i]) * s + beta[i])),
  };
}

/** (out, in, height, width) as a matrix. */
function flattened({ weight, bias }: Affine): Affine {
  const [rows, ...rest] = weight.shape;
  return { weight: new TensorData(weight.toBytes(), weight.dtype, [rows, rest.reduce((a, b) => a * b, 1)]), bias };
}

/** A softmax over (background, foreground) is a sigmoid of their difference. */
function pairDifferences({ weight, bias }: Affine): Affine {
  const halved = (tensor: TensorData): TensorData => {
    const values = tensor.toFloat32();
    const row = values.length / tensor.shape[0];
    const out = new Float32Array(values.length / 2);
    for (let i = 0; i < out.length; i++) {
      const at = 2 * row * Math.floor(i / row) + (i % row);
      out[i] = values[at + row] - values[at];
    }
    return new TensorData(new Uint8Array(out.buffer), 'F32', [tensor.shape[0] / 2, ...tensor.shape.slice(1)]);
  };
  return { weight: halved(weight), bias: halved(bias) };
}

/** Rows (dy, dx, dh, dw) of each box as (dx, dy, dw, dh). */
function xBeforeY({ weight, bias }: Affine): Affine {
  const swapped = (tensor: TensorData): TensorData => {
    const values = tensor.toFloat32();
    const row = values.length / tensor.shape[0];
    const out = new Float32Array(values.length);
    for (let i = 0; i < tensor.shape[0]; i++) out.set(values.subarray(i * row, (i + 1) * row), (i ^ 1) * row);
    return new TensorData(new Uint8Array(out.buffer), 'F32', tensor.shape);
  };
  return { weight: swapped(weight), bias: swapped(bias) };
}

function withoutRows({ weight, bias }: Affine, count: number): Affine {
  return { weight: weight.dropRows(count), bias: bias.dropRows(count) };
}

function eachRow(tensor: TensorData, change: (values: Float32Array, row: number) => Float32Array): TensorData {
  const values = Float32Array.from(tensor.toFloat32());
  const size = values.length / tensor.shape[0];
  for (let row = 0; row < tensor.shape[0]; row++)
    values.set(change(values.subarray(row * size, (row + 1) * size), row), row * size);
  return new TensorData(new Uint8Array(values.buffer), 'F32', tensor.shape);
}

function vector(values: Float32Array): TensorData {
  return new TensorData(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 'F32', [values.length]);
}
