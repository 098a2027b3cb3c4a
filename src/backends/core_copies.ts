import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { BackendError } from '../errors.js';

const CORE = '@tensorflow/tfjs-core';

/**
 * The real folder of the tfjs-core that a file would load.
 *
 * @param from a path or file URL that `require` resolves from.
 * @returns undefined where none is installed.
 */
export function corePathFrom(from: string | URL): string | undefined {
  try {
    return realpathSync(dirname(createRequire(from).resolve(`${CORE}/package.json`)));
  } catch {
    return undefined;
  }
}

/** Picks the tfjs-core folders out of loaded file names (the keys of `require.cache`). */
export function coreFoldersAmong(files: Iterable<string>): string[] {
  const mark = `${sep}@tensorflow${sep}tfjs-core${sep}`;
  const folders = new Set<string>();
  for (const file of files) {
    const at = file.lastIndexOf(mark);
    if (at >= 0) folders.add(realFolder(file.slice(0, at + mark.length - 1)));
  }
  return [...folders];
}

function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** The tfjs-core folders that this process has loaded so far. */
export function loadedCoreFolders(): string[] {
  return coreFoldersAmong(Object.keys(createRequire(import.meta.url).cache));
}

/**
 * Two copies of tfjs-core do not share tensors' classes, flags and kernels reliably: refuse before the second one is loaded.
 *
 * @param ours the folder that this package uses.
 * @param other the folder that `who` would use.
 * @throws BackendError that names both folders.
 */
export function refuseSecondCore(ours: string | undefined, other: string | undefined, who: string): void {
  if (ours === undefined || other === undefined || ours === other) return;
  throw new BackendError(
    `two copies of ${CORE}: maskrcnn-ts uses ${ours}, ${who} uses ${other}. They must be one: run \`npm ls ${CORE}\`, give both the same version, then \`npm dedupe\`.`,
  );
}

/**
 * Checks what this process has loaded.
 *
 * @throws BackendError that names the folders where there are two or more.
 */
export function refuseLoadedSecondCore(folders: string[] = loadedCoreFolders()): void {
  if (folders.length > 1) refuseSecondCore(folders[0], folders[1], 'another package of this process');
}
