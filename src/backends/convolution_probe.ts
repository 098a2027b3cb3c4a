import * as tf from '@tensorflow/tfjs-core';
import { BackendError } from '../errors.js';
import { startBackend, type BackendInfo, type ConcreteDevice } from './select.js';

/** What a convolution on a device showed. */
export interface ProbeResult extends BackendInfo {
  /** 10^9 floating-point operations a second in a 3x3 convolution (a multiplication and an addition count two); the best of three runs. */
  gflops: number;
}

/** Height, width and channels of the timed 3x3 convolution: about half a second's work on two cores. */
const SHAPES: Record<ConcreteDevice, [number, number, number]> = {
  tensorflow: [100, 168, 256],
  webgpu: [100, 168, 256],
  webgl: [100, 168, 256],
  wasm: [50, 84, 128],
  cpu: [16, 16, 32],
};

/** For graphics drivers that compute on the processor: a hundredth of a GPU's speed. */
const SOFTWARE_SHAPE: [number, number, number] = [25, 42, 64];

/**
 * Starts a device, checks a convolution against plain loops and times one.
 *
 * @throws BackendError where the device does not start, or computes wrong numbers.
 */
export async function probeDevice(device: ConcreteDevice): Promise<ProbeResult> {
  const info = await startBackend(device);
  await checkConvolution(device);
  const [height, width, channels] = info.software ? SOFTWARE_SHAPE : SHAPES[device];
  const x = tf.ones<tf.Rank.R4>([1, height, width, channels]);
  const w = tf.fill<tf.Rank.R4>([3, 3, channels, channels], 0.5);
  let best = Infinity;
  // The first run also builds the device's plans.
  for (let run = 0; run < 4; run++) {
    const start = performance.now();
    const y = tf.conv2d(x, w, 1, 'same');
    const corner = tf.slice(y, [0, 0, 0, 0], [1, 1, 1, 1]);
    await corner.data();
    if (run > 0) best = Math.min(best, performance.now() - start);
    tf.dispose([y, corner]);
  }
  tf.dispose([x, w]);
  return { ...info, gflops: (2 * 9 * channels * channels * height * width) / best / 1e6 };
}

/** A 3x3 convolution of a fixed pattern, compared with plain loops. */
async function checkConvolution(device: ConcreteDevice): Promise<void> {
  const [size, channels, outputs] = [5, 3, 4];
  const x = Float32Array.from({ length: size * size * channels }, (_, i) => ((i * 37) % 17) / 8 - 1);
  const w = Float32Array.from({ length: 9 * channels * outputs }, (_, i) => ((i * 29) % 13) / 6 - 1);
  const y = tf.tidy(() =>
    tf.conv2d(tf.tensor4d(x, [1, size, size, channels]), tf.tensor4d(w, [3, 3, channels, outputs]), 1, 'valid'),
  );
  const got = await y.data();
  y.dispose();
  for (let row = 0, at = 0; row < 3; row++) {
    for (let column = 0; column < 3; column++) {
      for (let o = 0; o < outputs; o++, at++) {
        let sum = 0;
        for (let i = 0; i < 9; i++) {
          for (let c = 0; c < channels; c++) {
            sum += x[((row + Math.floor(i / 3)) * size + column + (i % 3)) * channels + c] * w[(i * channels + c) * outputs + o];
          }
        }
        if (!(Math.abs(got[at] - sum) < 1e-4)) {
          throw new BackendError(
            `device ${device}: computes wrong numbers (a convolution gave ${got[at]}, right is ${sum}). Run \`npx maskrcnn doctor\`.`,
          );
        }
      }
    }
  }
}
