import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BackendError } from '../../errors.js';
import { cacheFolder } from '../../model_zoo/cache_folder.js';
import type { ProbeResult } from '../convolution_probe.js';
import { probe } from '../probe.js';
import { cachedAddon, installAddon, isOutdatedAddon, linkLibrary } from './addon.js';
import { getLibrary, libraryFolder } from './library.js';
import { installPackage, projectFolder } from './npm_package.js';
import { installPrebuilt } from './prebuilt.js';
import { SILENT, type SetupProgress } from './progress.js';
import { sweepTemporaries } from './sweep.js';
import { CPU_RECIPE, GPU_RECIPE, type NativeRecipe } from './recipe.js';
import { addonPath, findNativePackages, type NativePackage } from '../native_package.js';

/** What {@link setupNative} takes. */
export interface SetupOptions {
  /** tfjs-node-gpu and CUDA's libraries; without it, the CPU's. */
  gpu?: boolean;
  /** Where the big parts are kept; the default is MASKRCNN_CACHE or the system's folder for caches. */
  cache?: string;
  progress?: SetupProgress;
  /** Asked once, before anything is downloaded, with a text that tells size and place; false stops. */
  confirm: (plan: string) => Promise<boolean>;
}

/** How the native backend came to work. */
export interface SetupReport {
  how: 'already installed' | 'prebuilt archive' | 'python wheel';
  description: string;
  gflops: number;
  /** The ways that were tried before, and why they did not do. */
  tried: { way: string; reason: string }[];
}

/**
 * Gives this machine the native backend: takes an installed tfjs-node that loads; else tfjs-node's prebuilt archive; else libtensorflow out of a
 * Python wheel, with tfjs-node's addon built against it. Every part is made under a temporary name and renamed, so a second run goes on where an
 * interrupted one stopped.
 *
 * @throws BackendError where no way works, or the plan is refused.
 */
export async function setupNative(options: SetupOptions): Promise<SetupReport> {
  const recipe = options.gpu ? GPU_RECIPE : CPU_RECIPE;
  const progress = options.progress ?? SILENT;
  const cache = options.cache ?? cacheFolder();
  const tried: SetupReport['tried'] = [];

  const installed = await probe('tensorflow');
  const wanted = !options.gpu || (installed.ok && installed.result.description.includes('tfjs-node-gpu'));
  if (installed.ok && wanted) {
    const outdated = await findOutdated(cache, recipe);
    if (!outdated) return report('already installed', installed.result, tried);
    const reason = 'an older version of set-up built its addon';
    tried.push({ way: 'installed package', reason });
    progress.say(`The installed package works, but ${reason}.`);
    if (!(await options.confirm(planText(recipe, projectFolder(), cache))))
      return report('already installed', installed.result, tried);
    try {
      return await buildAgainstWheel(recipe, cache, outdated, process.cwd(), progress, tried);
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      // What was installed still works.
      tried.push({ way: 'python wheel', reason: error.message });
      progress.say(`The addon could not be built again: ${error.message}.`);
      return report('already installed', installed.result, tried);
    }
  }
  tried.push({
    way: 'installed package',
    reason: installed.ok ? `${installed.result.description}: not tfjs-node-gpu` : reasonOnly(installed.reason),
  });

  const project = projectFolder();
  if (!(await options.confirm(planText(recipe, project, cache))))
    throw new BackendError('set-up was not agreed to: nothing was downloaded. `--yes` agrees.');
  for (const folder of ['native', join('native', 'download')]) await sweepTemporaries(join(cache, folder));
  const native = await progress.step(`install ${recipe.package} ${recipe.packageVersion}`, '', () =>
    installPackage(recipe, project),
  );

  // What an earlier run left in the cache works at once: no need to ask the archive's host again.
  const ready = recipe.wheels.some((wheel) => existsSync(cachedAddon(libraryFolder(cache, wheel), native)));
  if (!ready) {
    const failure = await progress.step('prebuilt archive of tfjs-node', '', () => installPrebuilt(native, project));
    if (failure === undefined) {
      const answer = await probe('tensorflow', project);
      if (answer.ok) return report('prebuilt archive', answer.result, tried);
      tried.push({ way: 'prebuilt archive', reason: reasonOnly(answer.reason) });
    } else {
      tried.push({ way: 'prebuilt archive', reason: failure });
    }
    progress.say(`The prebuilt archive does not do: ${tried.at(-1)?.reason}.`);
  }

  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new BackendError(
      `no native backend for ${process.platform}-${process.arch}: ${tried.map((t) => `${t.way}: ${t.reason}`).join('; ')}; the Python wheel is used on linux-x64 only. \`--device wasm\` works everywhere.`,
    );
  }
  return buildAgainstWheel(recipe, cache, native, project, progress, tried);
}

/** The installed package whose addon an older set-up built, if any. */
async function findOutdated(cache: string, recipe: NativeRecipe): Promise<NativePackage | undefined> {
  const native = findNativePackages().find(({ name, addonExists }) => name === recipe.package && addonExists);
  return native && (await isOutdatedAddon(cache, native)) ? native : undefined;
}

async function buildAgainstWheel(
  recipe: NativeRecipe,
  cache: string,
  native: NativePackage,
  project: string,
  progress: SetupProgress,
  tried: SetupReport['tried'],
): Promise<SetupReport> {
  const library = await getLibrary(recipe, cache, (folder) => !existsSync(cachedAddon(folder, native)), progress);
  await progress.step(`build the addon against ${library.name}`, '', async () => {
    await linkLibrary(library.folder, native.folder);
    await installAddon(library.folder, native);
  });
  const answer = await probe('tensorflow', project);
  if (!answer.ok) throw new BackendError(`the native backend was built but does not work: ${reasonOnly(answer.reason)}`);
  return report('python wheel', answer.result, tried);
}

function report(how: SetupReport['how'], result: ProbeResult, tried: SetupReport['tried']): SetupReport {
  return { how, description: result.description, gflops: result.gflops, tried };
}

function reasonOnly(reason: string): string {
  return reason.replace(/^device tensorflow: /, '').replace(/\.? Run `[^`]+`\.$/, '');
}

/** What will be downloaded, how big, and where to. */
export function planText(recipe: NativeRecipe, project: string, cache: string): string {
  const [wheel] = recipe.wheels;
  const folder = libraryFolder(cache, wheel);
  const installed = findNativePackages().find((p) => p.name === recipe.package);
  const addon = installed ? cachedAddon(folder, { ...installed, addon: addonPath(installed.folder) }) : undefined;
  const lines = [
    `  ${recipe.package} ${recipe.packageVersion} (about 30 MB, npm) to ${join(project, 'node_modules')}`,
    addon && existsSync(addon)
      ? `  libtensorflow and the addon: already in ${folder}`
      : `  then tfjs-node's prebuilt archive (about 400 MB) or, where that cannot be had, the Python wheel ${wheel.name} ${wheel.version} (${wheel.megabytes} MB; ${wheel.unpackedMegabytes} MB unpacked) to ${folder}`,
  ];
  if (recipe.cudaExtra) lines.push(`  and the CUDA libraries that the wheel names (about 3 GB) to the same place`);
  return `maskrcnn setup downloads:\n${lines.join('\n')}`;
}
