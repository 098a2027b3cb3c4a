import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../../config/index.js';

/** How gradients are kept from growing. */
export type GradientClipping =
  /** Every element into [-limit, limit]. */
  | { readonly kind: 'value'; readonly limit: number }
  /** Every tensor (`parameter`), or all together (`model`), scaled down to a norm of at most `limit`; `order` is 1, 2, Infinity, ... */
  | { readonly kind: 'norm'; readonly over: 'parameter' | 'model'; readonly limit: number; readonly order: number };

/** `SOLVER.CLIP_GRADIENTS` of a config; undefined where it is off. */
export function clippingFromConfig({ SOLVER: { CLIP_GRADIENTS: clip } }: Config): GradientClipping | undefined {
  if (!clip.ENABLED) return undefined;
  if (clip.CLIP_TYPE === 'value') return { kind: 'value', limit: clip.CLIP_VALUE };
  const over = clip.CLIP_TYPE === 'full_model' ? 'model' : 'parameter';
  return { kind: 'norm', over, limit: clip.CLIP_VALUE, order: clip.NORM_TYPE };
}

/** The 2-norm of every gradient, as a tensor [gradients] in their order, which the caller disposes of. */
export function gradientNorms(gradients: ReadonlyMap<string, tf.Tensor>): tf.Tensor1D {
  if (gradients.size === 0) return tf.tensor1d([]);
  return tf.tidy(() => tf.stack([...gradients.values()].map((gradient) => normOf(gradient, 2)))) as tf.Tensor1D;
}

/**
 * Clips gradients as PyTorch does: norms are scaled by min(1, limit / (norm + 1e-6)).
 * @param known what `gradientNorms` gives for these gradients, where it has been computed
 * @returns new tensors by the same names, which the caller disposes of; the given ones stay
 */
export function clipGradients(
  gradients: ReadonlyMap<string, tf.Tensor>,
  clipping: GradientClipping | undefined,
  known?: tf.Tensor1D,
): Map<string, tf.Tensor> {
  const names = [...gradients.keys()];
  const clipped = tf.tidy(() => {
    const tensors = [...gradients.values()];
    if (!clipping) return tensors.map((gradient) => tf.clone(gradient));
    if (clipping.kind === 'value') return tensors.map((g) => tf.clipByValue(g, -clipping.limit, clipping.limit));
    const norms = known && clipping.order === 2 ? tf.unstack(known) : tensors.map((gradient) => normOf(gradient, clipping.order));
    const total = clipping.over === 'model' && norms.length > 0 ? normOf(tf.stack(norms), clipping.order) : undefined;
    return tensors.map((gradient, i) => {
      const factor = tf.minimum(tf.div(clipping.limit, tf.add(total ?? norms[i], 1e-6)), 1);
      return tf.mul(gradient, factor);
    });
  });
  return new Map(names.map((name, i) => [name, clipped[i]]));
}

/** The norm of all elements of a tensor, as a scalar. */
export function normOf(tensor: tf.Tensor, order: number): tf.Scalar {
  return tf.tidy(() => {
    const magnitudes = tf.abs(tensor);
    if (order === Infinity) return tf.max<tf.Scalar>(magnitudes);
    if (order === 1) return sumOf(magnitudes);
    if (order === 2) return tf.sqrt(sumOf(tf.square(tensor)));
    return tf.pow(sumOf(tf.pow(magnitudes, order)), 1 / order);
  });
}

/** Axis by axis: one long float32 sum loses digits on backends that add in sequence. */
function sumOf(tensor: tf.Tensor): tf.Scalar {
  let sum = tensor;
  while (sum.rank > 0) sum = tf.sum(sum, sum.rank - 1);
  return sum as tf.Scalar;
}
