import * as tf from '@tensorflow/tfjs-core';
import { ArgumentError } from '../../errors.js';
import { deformColumns } from './columns.js';
import { type DeformGeometry, outputSize } from './geometry.js';
import './columns_host.js';
import './columns_webgl.js';
import './columns_webgpu.js';

export type { DeformGeometry } from './geometry.js';

/** What a deformable convolution takes. K is kh * kw, D `deformableGroups`; the taps run row by row. */
export interface DeformConvInputs {
  /** [N, H, W, C] */
  x: tf.Tensor4D;
  /** [N, P, Q, D * K * 2]: by deformable group, then tap, then (dy, dx) in input pixels. */
  offset: tf.Tensor4D;
  /** [kh, kw, C / groups, O] */
  weight: tf.Tensor4D;
  /** [N, P, Q, D * K]: what each sample is multiplied with (version 2). */
  mask?: tf.Tensor4D | undefined;
  /** [O] */
  bias?: tf.Tensor1D | undefined;
}

/**
 * Deformable convolution, version 1 (Dai et al. 2017) and, with a mask, version 2 (Zhu et al. 2019): a convolution whose taps are moved by
 * `offset`, each sampled bilinearly. Equals Detectron2's `DeformConv` and `ModulatedDeformConv` (torchvision's `deform_conv2d`).
 *
 * - Tap (i, j) of output (p, q) samples at `(p stride - padding + i dilation + dy, q stride - padding + j dilation + dx)`. Pixels outside of
 *   the map count as 0, so the border fades within one pixel; farther out a sample is 0.
 * - Gradients of all inputs, on every backend. At whole-number positions, where the bilinear sample has a kink, the gradient of the
 *   offset is that of the side below and to the right. On webgpu that of x is summed in any order unless MASKRCNN_DETERMINISTIC is set.
 * - Memory: the samples of all taps exist at once, K times the output's places times C floats.
 *
 * @returns [N, P, Q, O]
 * @throws ArgumentError for shapes that do not fit
 */
export function deformConv2d(inputs: DeformConvInputs, options: Omit<DeformGeometry, 'kernelSize'>): tf.Tensor4D {
  const { x, offset, weight, mask, bias } = inputs;
  const [kh, kw, perGroup, outChannels] = weight.shape;
  const geometry: DeformGeometry = { ...options, kernelSize: [kh, kw] };
  const [images, height, width] = x.shape;
  const outShape: [number, number] = [outputSize(height, kh, geometry), outputSize(width, kw, geometry)];
  checkArguments(inputs, geometry, outShape);
  const { groups } = options;
  const places = images * outShape[0] * outShape[1];
  return tf.tidy(() => {
    const columns = tf.reshape(deformColumns(x, offset, mask, { ...geometry, outShape }), [groups, places, kh * kw * perGroup]);
    let y: tf.Tensor;
    if (groups === 1) {
      y = tf.matMul(tf.reshape(columns, [places, kh * kw * perGroup]), tf.reshape(weight, [kh * kw * perGroup, outChannels]));
    } else {
      const byGroup = tf.transpose(tf.reshape(weight, [kh * kw * perGroup, groups, outChannels / groups]), [1, 0, 2]);
      y = tf.transpose(tf.matMul(columns, byGroup), [1, 0, 2]);
    }
    const map = tf.reshape(y, [places, outChannels]);
    return tf.reshape(bias ? tf.add(map, bias) : map, [images, ...outShape, outChannels]);
  });
}

function checkArguments(
  { x, offset, weight, mask, bias }: DeformConvInputs,
  o: DeformGeometry,
  outShape: [number, number],
): void {
  for (const [name, value, least] of [
    ['stride', o.stride, 1],
    ['padding', o.padding, 0],
    ['dilation', o.dilation, 1],
    ['groups', o.groups, 1],
    ['deformableGroups', o.deformableGroups, 1],
  ] as const) {
    if (!Number.isInteger(value) || value < least)
      throw new ArgumentError(`deformConv2d: ${name} is ${value}; expected an integer of at least ${least}.`);
  }
  const [images, height, width, channels] = x.shape;
  const [kh, kw, perGroup, outChannels] = weight.shape;
  const { groups, deformableGroups } = o;
  if (channels !== perGroup * groups || outChannels % groups !== 0 || channels % deformableGroups !== 0) {
    throw new ArgumentError(
      `deformConv2d: a weight [${weight.shape.join(', ')}] does not fit ${channels} channels in ${groups} groups (${deformableGroups} deformable); ` +
        'expected [kh, kw, C / groups, O], C divisible by both, O by groups.',
    );
  }
  if (images < 1 || outShape[0] < 1 || outShape[1] < 1)
    throw new ArgumentError(`deformConv2d: a map of ${images} x ${height} x ${width} is smaller than the ${kh} x ${kw} kernel.`);
  const places = [images, ...outShape];
  const taps = deformableGroups * kh * kw;
  for (const [name, tensor, shape] of [
    ['offset', offset, [...places, 2 * taps]],
    ['mask', mask, [...places, taps]],
    ['bias', bias, [outChannels]],
  ] as const) {
    if (tensor && (tensor.shape.length !== shape.length || !tensor.shape.every((n, i) => n === shape[i])))
      throw new ArgumentError(`deformConv2d: ${name} is [${tensor.shape.join(', ')}]; expected [${shape.join(', ')}].`);
  }
}
