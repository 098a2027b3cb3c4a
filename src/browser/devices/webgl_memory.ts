import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';

type MakeTexture = (rows: number, columns: number) => { texture: WebGLTexture };

/** The ways in which TensorFlow.js makes a texture. */
const MAKERS = [
  'createFloat32MatrixTexture',
  'createFloat16MatrixTexture',
  'createUnsignedBytesMatrixTexture',
  'createPackedMatrixTexture',
  'createFloat16PackedMatrixTexture',
] as const;

/** What is used of the TensorFlow.js webgl backend. */
interface TextureBackend {
  numBytesInGPU: number;
  acquireTexture(...of: unknown[]): unknown;
  gpgpu: { gl: WebGL2RenderingContext; deleteMatrixTexture(texture: WebGLTexture): void } & Record<
    (typeof MAKERS)[number],
    MakeTexture
  >;
  textureManager: {
    freeTextures: Record<string, { texture: WebGLTexture }[]>;
    numFreeTextures: number;
    _numBytesAllocated: number;
    _numBytesFree: number;
  };
}

const guarded = new WeakSet<object>();

/**
 * Makes the running webgl backend say that it has no memory left. WebGL only raises a flag then, which TensorFlow.js does not look at: it would compute
 * with a texture that holds nothing, and keep it for later. Asked at new textures alone, for each answer waits for the GPU's process; most are used again.
 */
export function guardWebglMemory(): void {
  const backend = tf.backend() as unknown as TextureBackend;
  if (guarded.has(backend)) return;
  guarded.add(backend);
  const { gpgpu } = backend;
  const acquire = backend.acquireTexture.bind(backend);
  backend.acquireTexture = (...of) => {
    const before = backend.numBytesInGPU;
    try {
      return acquire(...of);
    } catch (error) {
      // Counted before it is made.
      backend.numBytesInGPU = before;
      throw error;
    }
  };
  for (const maker of MAKERS) {
    const make = gpgpu[maker].bind(gpgpu);
    const attempt = (rows: number, columns: number): ReturnType<MakeTexture> | undefined => {
      const made = make(rows, columns);
      if (!ranOutOfMemory(gpgpu.gl)) return made;
      gpgpu.deleteMatrixTexture(made.texture);
      return undefined;
    };
    gpgpu[maker] = (rows, columns) => {
      const first = attempt(rows, columns);
      if (first) return first;
      dropFreeTextures(backend);
      const second = attempt(rows, columns);
      if (second) return second;
      throw new BackendError(
        `device webgl: the GPU has no memory left for a texture of ${columns} x ${rows}. Take smaller images or batches, or take wasm.`,
      );
    };
  }
}

/** Takes down all flags that are raised. */
function ranOutOfMemory(gl: WebGL2RenderingContext): boolean {
  let found = false;
  // A lost context may raise its flag without end.
  for (let flags = 0, error = gl.getError(); error !== gl.NO_ERROR && flags < 8; error = gl.getError(), flags++)
    found ||= error === gl.OUT_OF_MEMORY;
  return found;
}

/** Gives the driver back the textures that wait to be used again. */
function dropFreeTextures({ gpgpu, textureManager }: TextureBackend): void {
  for (const free of Object.values(textureManager.freeTextures))
    for (const { texture } of free) gpgpu.deleteMatrixTexture(texture);
  textureManager.freeTextures = {};
  textureManager.numFreeTextures = 0;
  textureManager._numBytesAllocated -= textureManager._numBytesFree;
  textureManager._numBytesFree = 0;
}
