// Convolves until the threads that MASKRCNN_WASM_THREADS asks for take part, once more with them, and prints what came out.
import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from '../../src/backends/select.js';
import { threadsOf } from '../../src/ops/kernels/kernel_threads.js';

await startBackend('wasm');
const threads = threadsOf(tf.backend());
const ramp = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => ((i * 37) % 101) / 50 - 1);
const x = tf.tensor4d(ramp(60 * 60 * 64), [1, 60, 60, 64]);
const filter = tf.tensor4d(ramp(9 * 64 * 64), [3, 3, 64, 64]);
let count = 1;
while (threads && count < threads.most) {
  count = threads.count(1e9);
  await new Promise((resolve) => setTimeout(resolve, 5));
}
const y = await tf.conv2d(x, filter, 1, 'same').data();
let sum = 0;
y.forEach((value, i) => (sum += value * ((i % 13) - 6)));
console.log(JSON.stringify({ count, sum }));
