import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { startBackend } from '../../src/backends/select.js';
import { BackendError } from '../../src/errors.js';
import { nativeReason } from './native.js';

const missing = nativeReason();

describe.skipIf(missing)(`the memory of tensorflow${missing ? ` (${missing})` : ''}`, () => {
  it('leaves other errors as they are', async () => {
    await startBackend('tensorflow');
    const backend = tf.backend() as unknown as { executeSingleOutput(name: string, attributes: [], inputs: []): tf.Tensor };
    expect(() => backend.executeSingleOutput('NoSuchOperation', [], [])).toThrow(/NoSuchOperation/);
    expect(() => backend.executeSingleOutput('NoSuchOperation', [], [])).not.toThrow(BackendError);
  });

  // TensorFlow waits for ten seconds whether memory becomes free.
  it('is said to be used up, in one clear error; nothing stays behind, and a predictor made anew works', () => {
    const script = fileURLToPath(new URL('./tensorflow_memory_child.ts', import.meta.url));
    const printed = execFileSync(process.execPath, ['--import', 'tsx', script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, TF_CPU_BFC_MEM_LIMIT_IN_MB: '300' },
      timeout: 100_000,
    });
    const seen = JSON.parse(printed.trim().split('\n').at(-1)!) as Record<string, unknown>;
    expect(seen.error).toBe('BackendError');
    expect(seen.message).toMatch(
      /^device tensorflow: there is no memory left for a tensor \[1, 15\d\d, 15\d\d, 32\] of 27\d\.\d MiB .*INPUT\.MIN_SIZE_TEST.*predictTiled/,
    );
    expect(seen.left).toBe(0);
    expect(seen.instances).toBeGreaterThan(0);
    expect(seen.tensors).toBe(0);
  });
});
