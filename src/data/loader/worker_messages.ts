import * as errors from '../../errors.js';
import type { TrainingSample } from '../../structures/training_sample.js';
import type { SampleTask } from './sample_source.js';

/** To a worker: make this sample. */
export interface WorkerRequest {
  readonly id: number;
  readonly task: SampleTask;
}

/** From a worker: the sample, or why there is none. */
export type WorkerAnswer =
  | { readonly id: number; readonly sample: TrainingSample }
  | { readonly id: number; readonly error: { readonly name: string; readonly message: string; readonly stack?: string } };

/** An error of a worker as the class it was there, so that callers can tell kinds apart. */
export function errorFrom({ name, message, stack }: { name: string; message: string; stack?: string }): Error {
  const classes: Record<string, unknown> = { ...errors };
  const Class = Object.hasOwn(classes, name) ? classes[name] : undefined;
  if (typeof Class === 'function') return new (Class as new (message: string) => Error)(message);
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** The buffers of a sample that may change hands instead of being copied: the large ones, where nothing else lies in them. */
export function transferables(sample: TrainingSample): ArrayBuffer[] {
  const arrays = [
    sample.data,
    sample.semantic,
    ...(sample.groundTruth.masks ?? []).map((m) => (m.kind === 'bitmap' ? m.bitmap : undefined)),
  ];
  const out = new Set<ArrayBuffer>();
  for (const array of arrays)
    if (array && array.buffer instanceof ArrayBuffer && array.byteLength === array.buffer.byteLength) out.add(array.buffer);
  return [...out];
}
