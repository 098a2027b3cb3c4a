import * as tf from '@tensorflow/tfjs-core';
import type { AnchorGenerator } from '../rpn/anchor_generator.js';
import type { Box2BoxTransform } from '../rpn/box_transform.js';

/**
 * The choice of candidates of a one-stage detector as one kernel of webgpu and webgl, so that logits and deltas of all places stay on the device.
 * Inputs: the maps `logits0`, `logits1`, ... [N, H, W, A * K] and `deltas0`, ... [N, H, W, A * 4], finest first.
 * Output: [N, C, 7] as (x0, y0, x1, y1, logit, class, anchor over all levels): of each level, finest first, the places and classes of the largest logits in
 * order of index, decoded and not clipped.
 */
export const DENSE_CANDIDATES = 'DenseCandidates';

/** Columns of a candidate's row. */
export const CANDIDATE_COLUMNS = 7;

/** The attributes of the kernel. */
export interface DenseAttributes {
  readonly anchors: AnchorGenerator;
  readonly transform: Box2BoxTransform;
  readonly numClasses: number;
  /** Candidates of a level at most. */
  readonly topK: number;
}

/** Whole numbers that float32 holds: on webgl indices are such. */
const MOST_INDICES = 2 ** 24;

/** Whether the running backend has the kernel for maps of these shapes. */
export function hasDenseKernel(logits: readonly { readonly shape: readonly number[] }[]): boolean {
  const backend = tf.getBackend();
  if (tf.getKernel(DENSE_CANDIDATES, backend) === undefined) return false;
  return backend !== 'webgl' || logits.every(({ shape }) => shape[1] * shape[2] * shape[3] <= MOST_INDICES);
}

/** Runs the kernel. @returns [N, C, 7] as {@link DENSE_CANDIDATES} says */
export function denseCandidates(logits: tf.Tensor4D[], deltas: tf.Tensor4D[], attributes: DenseAttributes): tf.Tensor3D {
  const inputs: tf.NamedTensorMap = {};
  logits.forEach((map, level) => {
    inputs[`logits${level}`] = map;
    inputs[`deltas${level}`] = deltas[level];
  });
  return tf.engine().runKernel(DENSE_CANDIDATES, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor3D;
}
