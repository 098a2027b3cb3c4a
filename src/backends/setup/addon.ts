import { existsSync } from 'node:fs';
import { copyFile, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BackendError } from '../../errors.js';
import type { NativePackage } from '../native_package.js';
import { ADDON_REVISION, isPatchedAddon, patchAddonSource } from './addon_patch.js';
import { lastLines, runCommand } from './run_command.js';

/** Where the cache keeps the addon that was built against a library: the same for every Node of that N-API version. */
export function cachedAddon(library: string, native: Pick<NativePackage, 'name' | 'version' | 'addon'>): string {
  return join(library, `${basename(native.name)}-${native.version}-${basename(dirname(native.addon))}-r${ADDON_REVISION}.node`);
}

/** Links the cached libraries into the package, under the names that its build and its addon look for. */
export async function linkLibrary(library: string, packageFolder: string): Promise<void> {
  const deps = join(packageFolder, 'deps');
  await rm(deps, { recursive: true, force: true });
  await mkdir(join(deps, 'lib'), { recursive: true });
  for (const part of ['cc', 'framework']) {
    await symlink(join(library, 'lib', `libtensorflow_${part}.so.2`), join(deps, 'lib', `libtensorflow_${part}.so.2`));
  }
  await symlink('libtensorflow_cc.so.2', join(deps, 'lib', 'libtensorflow.so'));
  await symlink('libtensorflow_framework.so.2', join(deps, 'lib', 'libtensorflow_framework.so'));
  for (const folder of ['include', 'nvidia']) {
    if (existsSync(join(library, folder))) await symlink(join(library, folder), join(deps, folder));
  }
}

/**
 * Builds the package's addon against the linked library (10 to 20 s), or takes the one that an earlier build left in the cache, and then drops the
 * headers: 270 MB that nothing needs any more. An addon that was there before stays until the new one is built.
 *
 * @throws BackendError with what is missing (make, g++), or the last lines of the build.
 */
export async function installAddon(library: string, native: NativePackage): Promise<void> {
  const cached = cachedAddon(library, native);
  if (!existsSync(cached)) {
    await requireCompiler();
    await patchAddonSource(native.folder);
    // Official Node archives carry their headers: no download then.
    const prefix = dirname(dirname(process.execPath));
    const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? { npm_config_nodedir: prefix } : {};
    const { code, output } = await runCommand('npx', ['--no-install', 'node-pre-gyp', 'install', '--build-from-source'], {
      cwd: native.folder,
      env: { ...headers, ...(process.env.npm_config_nodedir ? { npm_config_nodedir: process.env.npm_config_nodedir } : {}) },
    });
    if (code !== 0 || !existsSync(native.addon) || !(await isPatchedAddon(native.addon))) {
      await rm(join(native.folder, 'build'), { recursive: true, force: true });
      throw new BackendError(`the addon of ${native.name} could not be built: ${lastLines(output, 6)}`);
    }
    await copyWhole(native.addon, cached);
  } else {
    await copyWhole(cached, native.addon);
  }
  await rm(join(native.folder, 'deps', 'include'), { force: true });
  await rm(join(library, 'include'), { recursive: true, force: true });
}

/** Whether the package's addon was built here, against a library of this cache, by a version that patched it differently or not at all. */
export async function isOutdatedAddon(cache: string, native: Pick<NativePackage, 'folder' | 'addon'>): Promise<boolean> {
  const library = await readlink(join(native.folder, 'deps', 'lib', 'libtensorflow_cc.so.2')).catch(() => '');
  return library.startsWith(join(cache, 'native')) && existsSync(native.addon) && !(await isPatchedAddon(native.addon));
}

async function copyWhole(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  const temporary = `${to}.${process.pid}.tmp`;
  await copyFile(from, temporary);
  await rename(temporary, to);
}

async function requireCompiler(): Promise<void> {
  const missing: string[] = [];
  for (const tool of ['make', 'g++', 'python3']) {
    if ((await runCommand(tool, ['--version'])).code !== 0) missing.push(tool);
  }
  if (missing.length > 0) {
    throw new BackendError(
      `building tfjs-node's addon needs ${missing.join(', ')}: install it (Debian, Ubuntu: \`apt-get install build-essential python3\`), then run \`npx maskrcnn setup\` again.`,
    );
  }
}
