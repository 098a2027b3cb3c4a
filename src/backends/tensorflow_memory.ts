import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../errors.js';

type Execute = (name: string, ...more: unknown[]) => unknown;

const guarded = new WeakSet<object>();

/** Status 8 of TensorFlow, RESOURCE_EXHAUSTED. */
const EXHAUSTED = /^Invalid TF_Status: 8\b/;
const SHAPE = /shape ?\[([\d,]*)\]/;

/** Makes the running tensorflow backend say in words of ours that it has no memory left; what was there stays, and smaller work goes on. */
export function guardTensorflowMemory(): void {
  const backend = tf.backend() as unknown as { binding?: { executeOp: Execute } };
  const { binding } = backend;
  if (!binding || guarded.has(backend)) return;
  guarded.add(backend);
  const execute: Execute = (name, ...more) => {
    try {
      return binding.executeOp(name, ...more);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      if (!EXHAUSTED.test(message)) throw cause;
      throw new BackendError(
        `device tensorflow: there is no memory left for ${wanted(message)} that ${name} makes. Take a smaller INPUT.MIN_SIZE_TEST or a smaller ` +
          'batch, or cut large pictures up with predictTiled.',
        { cause },
      );
    }
  };
  // The addon's own entries cannot be replaced.
  backend.binding = Object.create(binding, { executeOp: { value: execute } }) as typeof binding;
}

/** What was asked for, as far as TensorFlow says. */
function wanted(message: string): string {
  const shape = SHAPE.exec(message)?.[1];
  if (shape === undefined) return 'the tensor';
  const sizes = shape.split(',').map(Number);
  const bytes = 4 * sizes.reduce((a, b) => a * b, 1);
  return `a tensor [${sizes.join(', ')}] of ${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
