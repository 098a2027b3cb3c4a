import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { corePathFrom } from './core_copies.js';

/** The npm packages that bring libtensorflow; the GPU one also runs without a GPU, so it goes first where somebody installed it. */
export const NATIVE_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;
export type NativePackageName = (typeof NATIVE_PACKAGES)[number];

/** An installed tfjs-node, whether or not it loads. */
export interface NativePackage {
  name: NativePackageName;
  version: string;
  folder: string;
  /** Where its compiled addon belongs. */
  addon: string;
  addonExists: boolean;
  /** The tfjs-core folder that it would load. */
  core: string | undefined;
}

/** Where a native package is looked for: beside this package, then in the project that the process was started in. */
export function nativeSearchPlaces(): URL[] {
  return [new URL(import.meta.url), pathToFileURL(join(process.cwd(), 'package.json'))];
}

/** The addon's file inside a package folder for this Node: the highest N-API version that both know. */
export function addonPath(folder: string, napi = Number(process.versions.napi)): string {
  const { binary } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    binary?: { napi_versions?: number[]; module_path?: string; module_name?: string };
  };
  const version = Math.max(...(binary?.napi_versions ?? [8]).filter((v) => v <= napi));
  const path = (binary?.module_path ?? './lib/napi-v{napi_build_version}').replace('{napi_build_version}', String(version));
  return join(folder, path, `${binary?.module_name ?? 'tfjs_binding'}.node`);
}

/** Finds every installed tfjs-node, in the order in which they are tried. */
export function findNativePackages(places: URL[] = nativeSearchPlaces()): NativePackage[] {
  const found = new Map<string, NativePackage>();
  for (const name of NATIVE_PACKAGES) {
    for (const place of places) {
      let file: string;
      try {
        file = realpathSync(createRequire(place).resolve(`${name}/package.json`));
      } catch {
        continue;
      }
      const folder = dirname(file);
      if (found.has(folder)) continue;
      const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
      const addon = addonPath(folder);
      found.set(folder, {
        name,
        version,
        folder,
        addon,
        addonExists: existsSync(addon),
        core: corePathFrom(pathToFileURL(file)),
      });
    }
  }
  return [...found.values()];
}
