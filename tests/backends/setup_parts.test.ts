import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { findNativePackages } from '../../src/backends/native_package.js';
import { installAddon, isOutdatedAddon, linkLibrary, cachedAddon } from '../../src/backends/setup/addon.js';
import { isPatchedAddon, patchAddonSource } from '../../src/backends/setup/addon_patch.js';
import { cudaRequirements, getLibrary, hasLibraries } from '../../src/backends/setup/library.js';
import { findPip } from '../../src/backends/setup/pip.js';
import { prebuiltAddress, unreachable } from '../../src/backends/setup/prebuilt.js';
import { SILENT } from '../../src/backends/setup/progress.js';
import { CPU_RECIPE } from '../../src/backends/setup/recipe.js';
import { lastLines, runCommand } from '../../src/backends/setup/run_command.js';
import { sweepTemporaries } from '../../src/backends/setup/sweep.js';
import { unpackWheel } from '../../src/backends/setup/wheel_file.js';

const folder = () => mkdtempSync(join(tmpdir(), 'setup-'));
const bytes = (text: string) => new TextEncoder().encode(text);

describe('unpackWheel', () => {
  it('takes the wanted members, tells the progress, and renames at the end', async () => {
    const root = folder();
    const wheel = join(root, 'a.whl');
    writeFileSync(
      wheel,
      zipSync({ 'tensorflow/x.so': bytes('library'), 'tensorflow/include/a/b.h': bytes('header'), 'other.py': bytes('no') }),
    );
    const seen: [number, number][] = [];
    const place = (name: string) => (name.startsWith('tensorflow/') ? name.slice(11) : undefined);
    expect(await unpackWheel(wheel, join(root, 'out'), place, (done, total) => seen.push([done, total]))).toBe(2);
    expect(readFileSync(join(root, 'out/x.so'), 'utf8')).toBe('library');
    expect(readFileSync(join(root, 'out/include/a/b.h'), 'utf8')).toBe('header');
    expect(seen.at(-1)).toEqual([13, 13]);
    expect(readdirSync(root).sort()).toEqual(['a.whl', 'out']);
  });

  it('leaves nothing of a damaged archive, nor of a member that leaves the folder', async () => {
    const root = folder();
    const wheel = join(root, 'a.whl');
    const whole = zipSync({ 'a.so': new Uint8Array(5000).map((_, i) => (i * 7919) % 251) }, { level: 6 });
    writeFileSync(wheel, whole.subarray(0, whole.length / 2));
    await expect(
      unpackWheel(
        wheel,
        join(root, 'out'),
        (n) => n,
        () => undefined,
      ),
    ).rejects.toThrow();
    writeFileSync(wheel, zipSync({ 'a.so': bytes('x') }));
    await expect(
      unpackWheel(
        wheel,
        join(root, 'out'),
        () => '../evil.so',
        () => undefined,
      ),
    ).rejects.toThrow('leaves the folder');
    expect(readdirSync(root)).toEqual(['a.whl']);
  });
});

/** A cache as a finished run leaves it: libraries, the built addon, no headers. */
function finishedCache() {
  const cache = folder();
  const library = join(cache, 'native', 'tensorflow-cpu-2.21.0');
  mkdirSync(join(library, 'lib'), { recursive: true });
  for (const part of ['cc', 'framework']) writeFileSync(join(library, 'lib', `libtensorflow_${part}.so.2`), '');
  return { cache, library };
}

describe('libtensorflow in the cache', () => {
  it('is taken without pip or network when it is whole', async () => {
    const { cache, library } = finishedCache();
    expect(hasLibraries(library)).toBe(true);
    expect(await getLibrary(CPU_RECIPE, cache, () => false, SILENT)).toEqual({ folder: library, name: 'tensorflow-cpu 2.21.0' });
  });

  it('is linked into the package, and the cached addon is copied instead of built', async () => {
    const { library } = finishedCache();
    const native = {
      name: '@tensorflow/tfjs-node',
      version: '4.22.0',
      folder: folder(),
      addonExists: false,
      core: undefined,
    } as const;
    const addon = join(native.folder, 'lib/napi-v8/tfjs_binding.node');
    expect(cachedAddon(library, { ...native, addon })).toBe(join(library, 'tfjs-node-4.22.0-napi-v8-r4.node'));
    writeFileSync(join(library, 'tfjs-node-4.22.0-napi-v8-r4.node'), 'addon');
    await linkLibrary(library, native.folder);
    await installAddon(library, { ...native, addon });
    expect(readFileSync(addon, 'utf8')).toBe('addon');
    expect(readlinkSync(join(native.folder, 'deps/lib/libtensorflow_cc.so.2'))).toBe(join(library, 'lib/libtensorflow_cc.so.2'));
    expect(existsSync(join(native.folder, 'deps/lib/libtensorflow.so'))).toBe(true);
  });
});

describe('the patch of the addon', () => {
  it('prepares the sources of the installed tfjs-node once, and refuses others', async () => {
    const root = folder();
    mkdirSync(join(root, 'binding'));
    const file = join(root, 'binding/tfjs_backend.cc');
    writeFileSync(file, 'int main() {}');
    await expect(patchAddonSource(root)).rejects.toThrow(/tfjs_backend\.cc is not tfjs-node 4\.22\.0's .*Reinstall the package/);
    expect(readFileSync(file, 'utf8')).toBe('int main() {}');
  });

  const installed = findNativePackages()[0];
  it.skipIf(!installed)('is put in once, over that of an older set-up too, with our own sources beside it', async () => {
    const root = folder();
    mkdirSync(join(root, 'binding'));
    const [source, build] = [join(root, 'binding/tfjs_backend.cc'), join(root, 'binding.gyp')];
    const texts = () => [source, build].map((file) => readFileSync(file, 'utf8'));
    copyFileSync(join(installed.folder, 'binding/tfjs_backend.cc'), source);
    copyFileSync(join(installed.folder, 'binding.gyp'), build);
    await patchAddonSource(root);
    const patched = texts();
    for (const piece of [
      '#include "operations.h"',
      'maskrcnn::RegisterOperations(',
      'static void AddInPlace(',
      '"maskrcnn-ts addon 4"',
    ]) {
      expect(patched[0].split(piece)).toHaveLength(piece.startsWith('"') ? 3 : 2);
    }
    for (const own of ['operations', 'optimizer_op', 'winograd_op']) {
      expect(patched[1].split(`'binding/${own}.cc'`)).toHaveLength(2);
    }
    expect(existsSync(join(root, 'binding/winograd_kernel.inc'))).toBe(true);
    await patchAddonSource(root);
    expect(texts()).toEqual(patched);
    const older: ((text: string) => string)[] = [
      (text) =>
        text
          .replaceAll('addon 4', 'addon 3')
          .replace('"operations.h"', '"winograd_op.h"')
          .replace(/.*(operations|optimizer_op)\.cc.*\n/g, ''),
      (text) =>
        text.replaceAll('addon 4', 'addon 2').replace(/.*(operations\.(h|cc)|optimizer_op|winograd_op|maskrcnn::).*\n/g, ''),
    ];
    for (const revision of older) {
      writeFileSync(source, revision(patched[0]));
      writeFileSync(build, revision(patched[1]));
      await patchAddonSource(root);
      expect(texts()).toEqual(patched);
    }
  });

  it('is recognised in a built addon; one of this cache without it is outdated', async () => {
    const { cache, library } = finishedCache();
    const packageFolder = folder();
    const addon = join(packageFolder, 'lib/napi-v8/tfjs_binding.node');
    mkdirSync(join(packageFolder, 'lib/napi-v8'), { recursive: true });
    await linkLibrary(library, packageFolder);
    const native = { folder: packageFolder, addon };
    expect(await isOutdatedAddon(cache, native)).toBe(false);
    writeFileSync(addon, 'ELF');
    expect(await isOutdatedAddon(cache, native)).toBe(true);
    // The package's own prebuilt addon, against a library of its own, is not ours to rebuild.
    expect(await isOutdatedAddon(folder(), native)).toBe(false);
    writeFileSync(addon, 'ELF\0maskrcnn-ts addon 2\0');
    expect(await isOutdatedAddon(cache, native)).toBe(true);
    writeFileSync(addon, 'ELF\0maskrcnn-ts addon 4\0');
    expect(await isPatchedAddon(addon)).toBe(true);
    expect(await isOutdatedAddon(cache, native)).toBe(false);
  });
});

describe('the parts of set-up', () => {
  it('sweeps what a killed run left, and nothing else', async () => {
    const root = folder();
    mkdirSync(join(root, 'a.11.tmp/lib'), { recursive: true });
    for (const name of ['b.22.tmp', 'c.whl', 'd.tmp']) writeFileSync(join(root, name), '');
    expect(await sweepTemporaries(root, (pid) => pid === 22)).toEqual(['a.11.tmp']);
    expect(readdirSync(root).sort()).toEqual(['b.22.tmp', 'c.whl', 'd.tmp']);
    expect(await sweepTemporaries(join(root, 'absent'))).toEqual([]);
    writeFileSync(join(root, `e.${process.pid}.tmp`), '');
    expect(await sweepTemporaries(root)).not.toContain(`e.${process.pid}.tmp`);
  });

  it('stops and says so where there is no pip', async () => {
    await expect(findPip(['no-such-python'])).rejects.toThrow(
      /there is no pip here .*apt-get install python3-pip.*run `npx maskrcnn setup` again/,
    );
  });

  it('reads the CUDA pins of an extra, as old and new wheels spell them', () => {
    const metadata = [
      'Requires-Dist: numpy<2.1.0,>=1.26.0',
      'Requires-Dist: nvidia-cublas-cu12==12.5.3.2; extra == "and-cuda"',
      "Requires-Dist: nvidia-cudnn-cu12 ==9.3.0.75 ; extra == 'and-cuda'",
      'Requires-Dist: nvidia-nccl-cu12==2.23.4; extra == "other"',
    ].join('\n');
    expect(cudaRequirements(metadata, 'and-cuda')).toEqual(['nvidia-cublas-cu12==12.5.3.2', 'nvidia-cudnn-cu12==9.3.0.75']);
  });

  it('computes the address of the prebuilt archive from the package', () => {
    const root = folder();
    const binary = { host: 'https://host.test/pre', remote_path: './napi-v{napi_build_version}/{version}/' };
    writeFileSync(join(root, 'package.json'), JSON.stringify({ binary }));
    const native = {
      name: '@tensorflow/tfjs-node',
      version: '4.22.0',
      folder: root,
      addon: join(root, 'lib/napi-v8/tfjs_binding.node'),
    } as const;
    expect(prebuiltAddress(native, 'linux')).toBe('https://host.test/pre/napi-v8/4.22.0/CPU-linux-4.22.0.tar.gz');
    expect(prebuiltAddress({ ...native, name: '@tensorflow/tfjs-node-gpu' }, 'win32')).toBe(
      'https://host.test/pre/napi-v8/4.22.0/GPU-windows-4.22.0.zip',
    );
  });

  it('tells a missing archive, a silent host and a closed door apart, quickly', async () => {
    const serve = (handler: Parameters<typeof createServer>[1]) =>
      new Promise<Server>((resolve) => {
        const server = createServer(handler!).listen(0, '127.0.0.1', () => resolve(server));
      });
    const address = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/a.tar.gz`;
    const absent = await serve((_, response) => response.writeHead(404).end());
    const silent = await serve(() => undefined);
    const there = await serve((_, response) => response.writeHead(200).end());
    expect(await unreachable(address(absent))).toMatch(/answers 404$/);
    expect(await unreachable(address(silent), 200)).toMatch(/does not answer within 0\.2 s$/);
    expect(await unreachable(address(there))).toBeUndefined();
    const closed = address(there);
    for (const server of [absent, silent, there]) {
      server.closeAllConnections();
      server.close();
    }
    expect(await unreachable(closed)).toMatch(/cannot be reached \(ECONNREFUSED\)$/);
  });

  it('runs a command without a shell and keeps why it failed', async () => {
    expect((await runCommand('no-such-command', [])).code).toBe(127);
    const { code, output } = await runCommand(process.execPath, ['-e', 'console.log("a"); console.error("b"); process.exit(3)']);
    expect(code).toBe(3);
    expect(lastLines(output, 1)).toMatch(/^[ab]$/);
  });
});
