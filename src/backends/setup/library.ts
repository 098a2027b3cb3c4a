import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../atomic_file.js';
import { BackendError } from '../../errors.js';
import { downloadWheel, findPip, type Pip } from './pip.js';
import type { NativeRecipe } from './recipe.js';
import type { SetupProgress } from './progress.js';

/** An unpacked libtensorflow in the cache. */
export interface Library {
  /** Folder with `lib/`, and with `include/` until the addon is built. */
  folder: string;
  /** `tensorflow-cpu 2.21.0`. */
  name: string;
}

/** The folder of one wheel's library inside the cache. */
export function libraryFolder(cache: string, wheel: { name: string; version: string }): string {
  return join(cache, 'native', `${wheel.name}-${wheel.version}`);
}

/** True where a folder holds all that loading needs. */
export function hasLibraries(folder: string): boolean {
  return ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'].every((file) => existsSync(join(folder, 'lib', file)));
}

/**
 * Gets a libtensorflow into the cache: what an earlier run finished is taken, else a wheel is downloaded and unpacked.
 *
 * @param needHeaders the addon has to be built too.
 * @throws BackendError where there is no pip, or no wheel fits this machine.
 */
export async function getLibrary(
  recipe: NativeRecipe,
  cache: string,
  needHeaders: (folder: string) => boolean,
  progress: SetupProgress,
): Promise<Library> {
  for (const wheel of recipe.wheels) {
    const folder = libraryFolder(cache, wheel);
    if (hasLibraries(folder) && (!needHeaders(folder) || existsSync(join(folder, 'include')))) {
      if (recipe.cudaExtra) await fetchCuda(recipe.cudaExtra, cache, folder, progress);
      return { folder, name: `${wheel.name} ${wheel.version}` };
    }
  }
  const pip = await findPip();
  const failures: string[] = [];
  for (const wheel of recipe.wheels) {
    const folder = libraryFolder(cache, wheel);
    try {
      await fetchLibrary(pip, wheel, cache, folder, progress);
      if (recipe.cudaExtra) await fetchCuda(recipe.cudaExtra, cache, folder, progress);
      return { folder, name: `${wheel.name} ${wheel.version}` };
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      failures.push(error.message);
    }
  }
  throw new BackendError(
    `no libtensorflow could be fetched: ${failures.join('; ')}. Run \`npx maskrcnn setup\` again when the network allows.`,
  );
}

async function fetchLibrary(
  pip: Pip,
  wheel: NativeRecipe['wheels'][number],
  cache: string,
  folder: string,
  progress: SetupProgress,
): Promise<void> {
  const { unpackWheel } = await import('./wheel_file.js');
  const downloads = join(cache, 'native', 'download');
  const file = await progress.step(`download ${wheel.name} ${wheel.version}`, 'MB', (tell) =>
    downloadWheel(pip, `${wheel.name}==${wheel.version}`, downloads, wheel.megabytes, tell),
  );
  try {
    await progress.step(`unpack ${wheel.name} ${wheel.version}`, 'MB', (tell) =>
      unpackWheel(
        file,
        folder,
        (name) => {
          const library = /^tensorflow\/(libtensorflow_(?:cc|framework)\.so\.2)$/.exec(name);
          if (library) return `lib/${library[1]}`;
          if (name.startsWith('tensorflow/include/')) return name.slice('tensorflow/'.length);
          return /^[^/]+\.dist-info\/METADATA$/.test(name) ? 'METADATA' : undefined;
        },
        (done, total) => tell(done / 1e6, total / 1e6),
      ),
    );
    if (!hasLibraries(folder)) throw new BackendError(`${wheel.name} ${wheel.version} holds no libtensorflow_cc.so.2`);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    // A damaged wheel must not be met again by the next run.
    await rm(file, { force: true });
    throw error instanceof BackendError
      ? error
      : new BackendError(`${file} cannot be unpacked: ${(error as Error).message}`, { cause: error });
  }
  await rm(file, { force: true });
}

/** The pinned wheels that a wheel's METADATA names for an extra: `nvidia-cublas-cu12==12.5.3.2`. */
export function cudaRequirements(metadata: string, extra: string): string[] {
  const lines = metadata.matchAll(/^Requires-Dist: (nvidia-[\w-]+)\s*\(?==\s*([\w.]+)\)?\s*;.*extra == ['"]([\w-]+)['"]/gm);
  return [...lines].filter((m) => m[3] === extra).map((m) => `${m[1]}==${m[2]}`);
}

/**
 * CUDA's libraries go to `nvidia/` beside `lib/`, where the library's own search path ($ORIGIN/../nvidia) looks. One folder a wheel, complete by a
 * rename, and noted in `nvidia/complete`: a second run goes on with the wheels that lack.
 */
async function fetchCuda(extra: string, cache: string, folder: string, progress: SetupProgress): Promise<void> {
  const note = join(folder, 'nvidia', 'complete');
  const complete = new Set(existsSync(note) ? (await readFile(note, 'utf8')).split('\n') : []);
  const lacking = cudaRequirements(await readFile(join(folder, 'METADATA'), 'utf8'), extra).filter(
    (requirement) => !complete.has(requirement),
  );
  if (lacking.length === 0) return;
  const pip = await findPip();
  const { unpackWheel } = await import('./wheel_file.js');
  for (const requirement of lacking) {
    const file = await progress.step(`download ${requirement.replace('==', ' ')}`, 'MB', (tell) =>
      downloadWheel(pip, requirement, join(cache, 'native', 'download'), 400, tell),
    );
    const part = join(folder, `${requirement}.part`);
    await unpackWheel(
      file,
      part,
      (name) => (/^nvidia\/[^/]+\/(lib|bin)\/[^/]+$/.test(name) ? name.slice('nvidia/'.length) : undefined),
      () => undefined,
    );
    await mkdir(join(folder, 'nvidia'), { recursive: true });
    for (const name of await readdir(part)) {
      await rm(join(folder, 'nvidia', name), { recursive: true, force: true });
      await rename(join(part, name), join(folder, 'nvidia', name));
    }
    await rm(part, { recursive: true, force: true });
    await writeFileAtomic(note, [...complete.add(requirement)].join('\n'));
    await rm(file, { force: true });
  }
}
