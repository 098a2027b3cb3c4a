import * as tf from '@tensorflow/tfjs-core';

/** Throws a backend's instance away with all that it holds on its device, and keeps it registered, so that it can be started anew. */
export function resetBackend(name: string): void {
  const factory = tf.findBackendFactory(name);
  if (!factory || !tf.engine().registry[name]) return;
  tf.removeBackend(name);
  tf.registerBackend(name, factory);
}
