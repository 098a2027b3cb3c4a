import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackendError } from '../../errors.js';
import { WHEEL_PYTHON } from './recipe.js';
import { lastLines, runCommand } from './run_command.js';

/** A Python with pip. */
export interface Pip {
  python: string;
  version: [number, number];
}

/** Finds pip. @throws BackendError that says how to get it, where there is none. */
export async function findPip(pythons = ['python3', 'python']): Promise<Pip> {
  for (const python of pythons) {
    const { code, output } = await runCommand(python, ['-m', 'pip', '--version']);
    const match = /pip (\d+)\.(\d+)/.exec(output);
    if (code === 0 && match) return { python, version: [Number(match[1]), Number(match[2])] };
  }
  throw new BackendError(
    'libtensorflow comes out of a Python wheel, and there is no pip here (`python3 -m pip` fails). Install it (Debian, Ubuntu: `apt-get install python3-pip`), then run `npx maskrcnn setup` again.',
  );
}

/**
 * Downloads one wheel with `pip download` (which checks its hash) into a folder. A wheel that is already there is taken as it is.
 *
 * @param megabytes the expected size, for the progress.
 * @returns the wheel's path.
 * @throws BackendError with pip's own last lines.
 */
export async function downloadWheel(
  pip: Pip,
  requirement: string,
  folder: string,
  megabytes: number,
  onProgress: (doneMegabytes: number, totalMegabytes: number) => void,
): Promise<string> {
  const parts = requirement.split('==');
  const [stem, version] = [parts[0].replaceAll('-', '_').toLowerCase(), parts[1]];
  await mkdir(folder, { recursive: true });
  const present = (await readdir(folder)).find(
    (file) => file.toLowerCase().startsWith(`${stem}-${version}-`) && file.endsWith('.whl'),
  );
  if (present) return join(folder, present);
  const temporary = join(folder, `${stem}.${process.pid}.tmp`);
  await mkdir(temporary, { recursive: true });
  // pip tells no progress when it does not write to a terminal: watch the file grow in its folder for temporary files.
  const timer = setInterval(
    () => void sizeOf(temporary).then((bytes) => onProgress(Math.min(bytes / 1e6, megabytes), megabytes)),
    500,
  );
  try {
    const resume = pip.version[0] > 25 || (pip.version[0] === 25 && pip.version[1] >= 1) ? ['--resume-retries', '10'] : [];
    const { code, output } = await runCommand(
      pip.python,
      [
        '-m',
        'pip',
        'download',
        '--no-deps',
        '--only-binary=:all:',
        '--python-version',
        WHEEL_PYTHON,
        '--disable-pip-version-check',
        '--no-cache-dir',
        ...resume,
        '-d',
        temporary,
        requirement,
      ],
      { env: { TMPDIR: temporary, PIP_NO_INPUT: '1' } },
    );
    const wheel = (await readdir(temporary)).find((file) => file.endsWith('.whl'));
    if (code !== 0 || !wheel) throw new BackendError(`pip could not download ${requirement}: ${lastLines(output)}`);
    onProgress(megabytes, megabytes);
    await rename(join(temporary, wheel), join(folder, wheel));
    return join(folder, wheel);
  } finally {
    clearInterval(timer);
    await rm(temporary, { recursive: true, force: true });
  }
}

async function sizeOf(folder: string): Promise<number> {
  if (!existsSync(folder)) return 0;
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (entry.isFile())
      bytes += await stat(join(entry.parentPath ?? entry.path, entry.name)).then(
        (s) => s.size,
        () => 0,
      );
  }
  return bytes;
}
