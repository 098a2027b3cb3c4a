import * as tf from '@tensorflow/tfjs-core';
import { HOSTS } from '../kernels/host_kernel.js';
import { BATCHED_NMS, type BatchedNmsAttributes } from './kernel_names.js';
import { batchedNms } from './nms.js';

/** A choice as kernels give it: how many there are, their indices, and -1 up to `most`. */
function padKept(kept: Int32Array, most: number): Int32Array {
  const given = kept.subarray(0, most);
  const padded = new Int32Array(1 + most).fill(-1);
  padded[0] = given.length;
  padded.set(given, 1);
  return padded;
}

/** Rows whose numbers are all finite. @param columns of a row of `boxes` */
function finiteRows(boxes: Float32Array, scores: Float32Array, columns: number): Int32Array {
  const rows = Int32Array.from(scores.keys());
  return rows.filter((row) => {
    for (let k = row * columns; k < (row + 1) * columns; k++) if (!Number.isFinite(boxes[k])) return false;
    return Number.isFinite(scores[row]);
  });
}

/** Suppression among the rows that are finite. @param suppress gives the kept of the boxes, scores and groups that it gets */
function suppressFinite(
  [boxes, scores, groups]: readonly [Float32Array, Float32Array, Int32Array],
  columns: number,
  suppress: (boxes: Float32Array, scores: Float32Array, groups: Int32Array) => Int32Array,
): Int32Array {
  const rows = finiteRows(boxes, scores, columns);
  if (rows.length === scores.length) return suppress(boxes, scores, groups);
  const finite = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => finite.set(boxes.subarray(row * columns, (row + 1) * columns), i * columns));
  const kept = suppress(
    finite,
    Float32Array.from(rows, (row) => scores[row]),
    rows.map((row) => groups[row]),
  );
  return kept.map((i) => rows[i]);
}

/** Registers suppression on the backends whose tensors the host reads without waiting. */
export function registerHostSuppression(
  kernelName: string,
  columns: number,
  suppress: (boxes: Float32Array, scores: Float32Array, groups: Int32Array, iouThreshold: number) => Int32Array,
): void {
  for (const backendName of HOSTS) {
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
        const backend = anyBackend as tf.KernelBackend;
        const { iouThreshold, most } = attrs as unknown as BatchedNmsAttributes;
        const [boxes, scores, groups] = ['boxes', 'scores', 'groups'].map((name) =>
          backend.readSync((inputs[name] as tf.TensorInfo).dataId),
        );
        const kept = suppressFinite([boxes as Float32Array, scores as Float32Array, groups as Int32Array], columns, (...rows) =>
          suppress(...rows, iouThreshold),
        );
        const shape = [1 + most];
        return { dataId: backend.write(padKept(kept, most), shape, 'int32'), shape, dtype: 'int32' };
      },
    });
  }
}

registerHostSuppression(BATCHED_NMS, 4, batchedNms);
