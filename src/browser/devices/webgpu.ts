import '@tensorflow/tfjs-backend-webgpu';
import type { Started } from '../../backends/choose.js';
import { startWebGpu } from '../../backends/webgpu.js';
import { pageSource } from '../../backends/webgpu_page.js';

/**
 * Starts TensorFlow.js's WebGPU backend in a page or worker.
 * @param automatic refuses drivers that run on the processor
 * @throws BackendError where there is no WebGPU (an insecure address, an old browser) or no adapter
 */
export function startWebgpu(automatic: boolean): Promise<Started> {
  return startWebGpu(pageSource, { hardwareOnly: automatic });
}
