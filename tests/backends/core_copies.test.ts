import { mkdirSync, mkdtempSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import '@tensorflow/tfjs-core';
import { coreFoldersAmong, corePathFrom, loadedCoreFolders, refuseLoadedSecondCore } from '../../src/backends/core_copies.js';
import { startTensorflow } from '../../src/backends/tensorflow.js';

describe('a second tfjs-core', () => {
  it('is not reported for the one that we load', () => {
    const ours = corePathFrom(import.meta.url);
    expect(ours).toMatch(/tfjs-core$/);
    expect(loadedCoreFolders()).toEqual([ours]);
    expect(() => refuseLoadedSecondCore()).not.toThrow();
  });

  it('is found among loaded files', () => {
    const folders = coreFoldersAmong([
      '/a/node_modules/@tensorflow/tfjs-core/dist/tf-core.node.js',
      '/b/@tensorflow/tfjs-core/dist/x.js',
      '/c/index.js',
    ]);
    expect(folders).toEqual(['/a/node_modules/@tensorflow/tfjs-core', '/b/@tensorflow/tfjs-core']);
    expect(() => refuseLoadedSecondCore(folders)).toThrow(
      /two copies.*\/a\/node_modules\/@tensorflow\/tfjs-core.*\/b\/@tensorflow\/tfjs-core.*npm dedupe/,
    );
  });

  it('of a native package is refused before it is loaded, with both paths', async () => {
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'two-cores-')));
    const core = join(root, 'node_modules/@tensorflow/tfjs-core');
    mkdirSync(core, { recursive: true });
    writeFileSync(join(core, 'package.json'), '{"name":"@tensorflow/tfjs-core","version":"4.0.0"}');
    const candidate = {
      name: '@tensorflow/tfjs-node',
      version: '4.22.0',
      folder: root,
      addon: join(root, 'x.node'),
      addonExists: true,
      core,
    } as const;
    await expect(startTensorflow([candidate])).rejects.toThrow(
      `maskrcnn-ts uses ${corePathFrom(import.meta.url)}, @tensorflow/tfjs-node uses ${core}`,
    );
  });
});
