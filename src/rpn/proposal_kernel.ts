import * as tf from '@tensorflow/tfjs-core';
import type { WasmBackend } from '../ops/kernels/wasm_heap.js';
import type { AnchorGenerator } from './anchor_generator.js';
import type { Box2BoxTransform } from './box_transform.js';
import { findTopProposals, type Proposals, type ProposalSelection } from './find_top_proposals.js';

/**
 * The choice of proposals as one kernel, so that the boxes stay on the device until the box head's numbers are read with them.
 * Inputs: the maps `logits0`, `logits1`, ... [N, H, W, A] and `deltas0`, ... [N, H, W, 4A], finest first.
 * Output: [R, 6] as (image, x0, y0, x1, y1, logit), image after image, best first, the choice that `findTopProposals` makes. A kernel that
 * cannot know how many there are fills each image's rows up with boxes of zeros whose logit is -Infinity.
 */
export const RPN_PROPOSALS = 'RpnProposals';

/** Columns of a proposal's row. */
export const PROPOSAL_COLUMNS = 6;

/** The attributes of the kernel. */
export interface ProposalAttributes {
  readonly anchors: AnchorGenerator;
  readonly transform: Box2BoxTransform;
  readonly selection: ProposalSelection;
  /** (height, width) of each image inside the padded input. */
  readonly imageSizes: readonly (readonly [number, number])[];
}

/** Whether the running backend chooses proposals by itself. */
export function hasProposalKernel(): boolean {
  return tf.getKernel(RPN_PROPOSALS, tf.getBackend()) !== undefined;
}

/** Runs the kernel. @returns [R, 6] as {@link RPN_PROPOSALS} says */
export function selectProposals(logits: tf.Tensor4D[], deltas: tf.Tensor4D[], attributes: ProposalAttributes): tf.Tensor2D {
  const inputs: tf.NamedTensorMap = {};
  logits.forEach((map, level) => {
    inputs[`logits${level}`] = map;
    inputs[`deltas${level}`] = deltas[level];
  });
  return tf.engine().runKernel(RPN_PROPOSALS, inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor2D;
}

/** One image's rows of the kernel's output. */
export interface ProposalRows extends Proposals {
  /** Of its rows among all. */
  readonly first: number;
}

/** Splits the kernel's output, once read, by image and leaves the filling out. @param values [R, 6] */
export function splitProposals(values: Float32Array, images: number): ProposalRows[] {
  const rows = values.length / PROPOSAL_COLUMNS;
  const split: ProposalRows[] = [];
  for (let image = 0, row = 0; image < images; image++) {
    const first = row;
    let count = 0;
    for (; row < rows && values[row * PROPOSAL_COLUMNS] === image; row++)
      if (values[row * PROPOSAL_COLUMNS + 5] > -Infinity) count++;
    const boxes = new Float32Array(count * 4);
    const objectnessLogits = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const at = (first + i) * PROPOSAL_COLUMNS;
      boxes.set(values.subarray(at + 1, at + 5), i * 4);
      objectnessLogits[i] = values[at + 5];
    }
    split.push({ boxes, objectnessLogits, first });
  }
  return split;
}

/** For backends whose tensors lie in the process's own memory: reading them there waits for nothing. */
function selectOnHost(inputs: tf.NamedTensorInfoMap, attributes: ProposalAttributes, backend: tf.KernelBackend): tf.TensorInfo {
  const { anchors, transform, selection, imageSizes } = attributes;
  const levels = Object.keys(inputs).length / 2;
  const maps = ['logits', 'deltas'].flatMap((name) => Array.from({ length: levels }, (_, level) => inputs[`${name}${level}`]!));
  const sizes = maps.slice(0, levels).map(({ shape }) => ({ height: shape[1], width: shape[2] }));
  const values = maps.map((map) => valuesOf(backend, map));
  const perImage = values.map(({ length }) => length / imageSizes.length);
  const joined = new Float32Array(perImage.reduce((a, b) => a + b, 0));
  const chosen = imageSizes.map((size, image) => {
    let at = 0;
    values.forEach((map, i) => {
      joined.set(map.subarray(image * perImage[i], (image + 1) * perImage[i]), at);
      at += perImage[i];
    });
    return findTopProposals(joined, sizes, size, anchors, transform, selection);
  });
  const rows = toRows(chosen);
  const shape = [rows.length / PROPOSAL_COLUMNS, PROPOSAL_COLUMNS];
  return { dataId: backend.write(rows, shape, 'float32'), shape, dtype: 'float32' };
}

/** A map's values, not to be kept: where the backend shows its memory (wasm), a view of it in the place of a copy. */
function valuesOf(backend: tf.KernelBackend, map: tf.TensorInfo): Float32Array {
  const { typedArrayFromHeap } = backend as unknown as Partial<WasmBackend>;
  return (typedArrayFromHeap ? typedArrayFromHeap.call(backend, map) : backend.readSync(map.dataId)) as Float32Array;
}

function toRows(proposals: readonly Proposals[]): Float32Array {
  const count = proposals.reduce((sum, { objectnessLogits }) => sum + objectnessLogits.length, 0);
  const rows = new Float32Array(count * PROPOSAL_COLUMNS);
  let at = 0;
  proposals.forEach(({ boxes, objectnessLogits }, image) => {
    for (let i = 0; i < objectnessLogits.length; i++, at += PROPOSAL_COLUMNS) {
      rows[at] = image;
      rows.set(boxes.subarray(i * 4, i * 4 + 4), at + 1);
      rows[at + 5] = objectnessLogits[i];
    }
  });
  return rows;
}

for (const backendName of ['cpu', 'wasm', 'tensorflow']) {
  tf.registerKernel({
    kernelName: RPN_PROPOSALS,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) =>
      selectOnHost(inputs, attrs as unknown as ProposalAttributes, backend as tf.KernelBackend),
  });
}
