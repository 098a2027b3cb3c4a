import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgl';
import type { Started } from '../../backends/choose.js';
import { BackendError } from '../../errors.js';
import { resetBackend } from './reset_backend.js';
import { guardWebglMemory } from './webgl_memory.js';

/**
 * Starts TensorFlow.js's WebGL backend.
 * @param automatic refuses drivers that run on the processor: they are slower than wasm
 * @returns a description: the version of WebGL and the GPU, where the browser tells
 * @throws BackendError where there is no WebGL 2, or no rendering to float32 textures, without which box coordinates would be rounded
 */
export async function startWebgl(automatic: boolean): Promise<Started> {
  // One program for all sizes of a shape, where TensorFlow.js would compile one for each.
  tf.env().set('WEBGL_USE_SHAPES_UNIFORMS', true);
  if (tf.engine().registry['webgl'] && webglContext().isContextLost()) resetBackend('webgl');
  if (tf.env().getNumber('WEBGL_VERSION') !== 2)
    throw new BackendError('device webgl: this browser has no WebGL 2, or no GPU that it trusts. Take wasm.');
  if (!tf.env().getBool('WEBGL_RENDER_FLOAT32_ENABLED'))
    throw new BackendError(
      'device webgl: this GPU cannot render to float32 textures, and half the precision moves boxes by pixels. Take wasm.',
    );
  if (!(await tf.setBackend('webgl')))
    throw new BackendError('device webgl: this browser or its driver refuses to start it. Take wasm.');
  await tf.ready();
  guardWebglMemory();
  const gl = webglContext();
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  const renderer = String((info && gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) ?? '');
  const software = /swiftshader|llvmpipe|software|basic render/i.test(renderer);
  if (software && automatic) {
    resetBackend('webgl');
    throw new BackendError(
      `device webgl: ${renderer} runs on the processor, slower than wasm. Name the device to have it all the same.`,
    );
  }
  return { description: `WebGL 2${renderer ? `, ${renderer}` : ''}`, ...(software ? { software } : {}) };
}

/** The context of the running WebGL backend. */
export function webglContext(): WebGL2RenderingContext {
  return (tf.engine().registry['webgl'] as unknown as { gpgpu: { gl: WebGL2RenderingContext } }).gpgpu.gl;
}
