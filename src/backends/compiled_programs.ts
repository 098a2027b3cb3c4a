import * as tf from '@tensorflow/tfjs-core';

/** Whether the running backend compiles GPU programs, some of them anew for each shape: sizes are then kept to a few. */
export function compilesPrograms(): boolean {
  return ['webgpu', 'webgl'].includes(tf.getBackend());
}
