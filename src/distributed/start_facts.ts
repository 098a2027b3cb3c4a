import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { relative } from 'node:path';
import type { Config } from '../config/index.js';
import type { SharedFacts } from './agreement.js';

/** Files whose sizes are asked for at once: a folder on the network answers many as fast as one. */
const AT_ONCE = 64;

/** Every key of a config with its value. */
function configFacts(section: object, prefix = ''): [name: string, value: string][] {
  return Object.entries(section).flatMap(([name, value]: [string, unknown]): [string, string][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? configFacts(value, `${prefix}${name}.`)
      : [[`${prefix}${name}`, JSON.stringify(value)]],
  );
}

/** What a run is set to, before anything is read: its config, what was asked for beside it, and what it runs on. */
export async function settingFacts(
  config: Config,
  device: string,
  asked: Readonly<Record<string, unknown>>,
): Promise<SharedFacts> {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const others = Object.entries(asked).map(([name, value]) => [name, value === undefined ? null : String(value)]);
  return {
    'the version of maskrcnn-ts': version,
    'the device': device,
    ...(Object.fromEntries(others) as SharedFacts),
    ...Object.fromEntries(configFacts(config)),
  };
}

/** The SHA-256 of a file; null where there is none. */
export async function fileFact(path: string | undefined): Promise<string | null> {
  if (path === undefined) return null;
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  } catch (error) {
    // Who lacks it is told by what the others have, or, where all do, by whoever reads it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  return `SHA-256 ${hash.digest('hex').slice(0, 16)}`;
}

/**
 * Names and sizes of files: contents would take as long to read as an epoch.
 * @param folder that the names are seen from, which may have another path on every machine
 */
export async function filesFact(folder: string, paths: readonly string[]): Promise<Uint8Array> {
  const lines = new Array<string>(paths.length);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < paths.length) {
      const i = next++;
      const size = await stat(paths[i]).then(
        (found) => found.size,
        () => 'none',
      );
      lines[i] = `${relative(folder, paths[i])}\t${size}\n`;
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, paths.length) }, work));
  return new TextEncoder().encode(lines.join(''));
}
