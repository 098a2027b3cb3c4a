import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';

/** What TensorFlow.js throws, in words of WebGL, where the driver does not compile a program or has no memory for a texture. */
const OF_THE_DRIVER = /Failed to (compile|link)|Unable to create WebGL|texture size|OUT_OF_MEMORY|FRAMEBUFFER/i;

/**
 * Watches over a WebGL context: a lost one computes nothing any more, and waiting for it would never end. (WebGPU fails by itself; the other devices
 * cannot be lost.)
 */
export class ContextLoss {
  private readonly gl: WebGL2RenderingContext | undefined;
  private readonly waiting = new Set<(error: BackendError) => void>();

  /** Watches the running backend. */
  constructor() {
    const { gpgpu } = tf.backend() as { gpgpu?: { gl: WebGL2RenderingContext } };
    this.gl = gpgpu?.gl;
    this.gl?.canvas.addEventListener('webglcontextlost', this.onLost);
  }

  /** Ends the wait for `work` with an error as soon as the context is lost. */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    if (!this.gl) return work();
    this.check();
    let reject!: (error: BackendError) => void;
    const lost = new Promise<never>((_, rejectLost) => this.waiting.add((reject = rejectLost)));
    const running = work();
    try {
      const result = await Promise.race([running, lost]);
      this.check();
      return result;
    } catch (error) {
      // Whatever failed after the loss failed because of it.
      running.catch(() => undefined);
      this.check();
      throw driverError(error) ?? error;
    } finally {
      this.waiting.delete(reject);
    }
  }

  dispose(): void {
    this.gl?.canvas.removeEventListener('webglcontextlost', this.onLost);
  }

  private check(): void {
    if (this.gl?.isContextLost()) throw lostError();
  }

  private readonly onLost = (): void => {
    for (const reject of this.waiting) reject(lostError());
  };
}

function lostError(): BackendError {
  return new BackendError(
    'device webgl: the browser took the GPU away (WebGL context lost). Dispose of this predictor and load a new one, or take wasm.',
  );
}

function driverError(error: unknown): BackendError | undefined {
  if (!(error instanceof Error) || error instanceof BackendError || !OF_THE_DRIVER.test(error.message)) return undefined;
  return new BackendError(
    `device webgl: the GPU's driver refused a program or a texture (${error.message}). Take smaller images, or take wasm.`,
    { cause: error },
  );
}
