import { describe, expect, it } from 'vitest';
import * as tf from '@tensorflow/tfjs-core';
import { startBackend, type Device } from '../../src/backends/select.js';
import { wasmFolder } from '../../src/backends/wasm.js';
import { existsSync } from 'node:fs';

/** Two by two input of ones, kernel of ones: the sum of a window is its size. */
function windowSum(): number[] {
  const y = tf.tidy(() => tf.conv2d(tf.ones<tf.Rank.R4>([1, 3, 3, 2]), tf.ones<tf.Rank.R4>([2, 2, 2, 1]), 1, 'valid'));
  return Array.from(y.dataSync());
}

describe('startBackend', () => {
  it.each(['cpu', 'wasm'] as const)('starts %s, computes, and has gradients', async (device) => {
    const info = await startBackend(device);
    expect(info.device).toBe(device);
    expect(info.skipped).toEqual([]);
    expect(tf.getBackend()).toBe(device);
    expect(windowSum()).toEqual([8, 8, 8, 8]);
    const gradient = tf.grad((x) => tf.sum(tf.square(x)))(tf.tensor1d([1, -3]));
    expect(Array.from(gradient.dataSync())).toEqual([2, -6]);
  });

  it('starts the same device twice and goes back and forth', async () => {
    expect((await startBackend('wasm')).description).toContain('SIMD');
    expect((await startBackend('cpu')).device).toBe('cpu');
    expect((await startBackend('wasm')).device).toBe('wasm');
  });

  it('leaves no process hooks behind', async () => {
    const before = process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection');
    await startBackend('wasm');
    expect(process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection')).toBe(before);
  });

  it('finds the folder of the wasm files', async () => {
    expect(existsSync(`${await wasmFolder()}tfjs-backend-wasm-simd.wasm`)).toBe(true);
  });

  it('refuses an unknown name and names the nearest', async () => {
    await expect(startBackend('wsm' as Device)).rejects.toThrow(
      'unknown device "wsm" (did you mean wasm?): one of auto, tensorflow, webgpu, webgl, wasm, cpu',
    );
  });

  it('never falls back from a named device', async () => {
    const before = tf.getBackend();
    await expect(startBackend('webgl')).rejects.toThrow(/device webgl: not registered.*npx maskrcnn setup/);
    expect(tf.getBackend()).toBe(before);
  });
});
