import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as tf from '@tensorflow/tfjs-core';
import { addonPath, findNativePackages } from '../../src/backends/native_package.js';
import { startBackend } from '../../src/backends/select.js';
import { startTensorflow } from '../../src/backends/tensorflow.js';
import { nativeReason } from './native.js';

const missing = nativeReason();

describe('without a working native package', () => {
  it('says what is missing and the command', async () => {
    await expect(startTensorflow([])).rejects.toThrow(
      'device tensorflow: @tensorflow/tfjs-node is not installed. Run `npx maskrcnn setup`.',
    );
  });

  it('names the package, its folder and the reason', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'no-addon-'));
    const addon = join(folder, 'broken.node');
    const candidate = {
      name: '@tensorflow/tfjs-node',
      version: '4.22.0',
      folder,
      addon,
      addonExists: false,
      core: undefined,
    } as const;
    await expect(startTensorflow([candidate])).rejects.toThrow(
      `${folder}): its compiled addon is missing. Run \`npx maskrcnn setup\`.`,
    );
    writeFileSync(addon, 'no library');
    await expect(startTensorflow([{ ...candidate, addonExists: true }])).rejects.toThrow(
      /does not load: .*broken\.node.*npx maskrcnn setup/,
    );
    expect(tf.findBackendFactory('tensorflow')).toBeNull();
  });

  it('computes the path of the addon for the N-API version', () => {
    const folder = mkdtempSync(join(tmpdir(), 'napi-'));
    writeFileSync(
      join(folder, 'package.json'),
      JSON.stringify({ binary: { module_name: 'b', module_path: './lib/napi-v{napi_build_version}', napi_versions: [3, 8] } }),
    );
    expect(addonPath(folder, 7)).toBe(join(folder, 'lib/napi-v3/b.node'));
    expect(addonPath(folder, 10)).toBe(join(folder, 'lib/napi-v8/b.node'));
  });
});

describe.skipIf(missing)(`native backend${missing ? ` (${missing})` : ''}`, () => {
  it('starts, computes and has gradients', async () => {
    const info = await startBackend('tensorflow');
    expect(info.device).toBe('tensorflow');
    expect(info.description).toMatch(
      /^libtensorflow \d+\.\d+\.\d+ through @tensorflow\/tfjs-node(-gpu)? 4\.\d+\.\d+, (CPU|GPU)$/,
    );
    const [dx, dw] = tf.grads((x: tf.Tensor, w: tf.Tensor) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'valid'))([
      tf.ones([1, 2, 2, 1]),
      tf.tensor4d([1, 2, 3, 4], [2, 2, 1, 1]),
    ]);
    expect(Array.from(dx.dataSync())).toEqual([1, 2, 3, 4]);
    expect(Array.from(dw.dataSync())).toEqual([1, 1, 1, 1]);
  });

  it('is what auto takes', async () => {
    expect(await startBackend('auto')).toMatchObject({ device: 'tensorflow', skipped: [] });
  });

  it('is found with an addon', () => {
    expect(findNativePackages().some((p) => p.addonExists)).toBe(true);
  });
});
