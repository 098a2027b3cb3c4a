import { open, readFile, stat, unlink, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import { DatasetError } from '../errors.js';

/** Who writes a part. */
interface Holder {
  readonly host: string;
  readonly pid: number;
  /** When the process began: a container that is started again may have the machine and the process id of the one before. */
  readonly started: number;
  readonly token: string;
}

export interface PartLockOptions {
  /** Milliseconds between two signs of life of a holder. */
  readonly beat?: number;
  /** Milliseconds without one after which a lock counts as left behind. */
  readonly silence?: number;
  /** Told a sentence where a lock of another process is waited for or taken over. */
  readonly notice?: (line: string) => void;
}

/**
 * A file beside a part that says which process writes it. A holder gives signs of life through the time of the file, which others watch: clocks of machines
 * need not agree. A lock whose process is gone from this machine is taken over at once; another one after a time without a sign.
 */
export class PartLock {
  private readonly timer: NodeJS.Timeout;

  private constructor(
    private readonly part: string,
    private readonly path: string,
    private readonly own: Holder,
    beat: number,
  ) {
    this.timer = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => {});
    }, beat);
    this.timer.unref();
  }

  /** @throws DatasetError where another process writes the part */
  static async take(
    part: string,
    { beat = 5_000, silence = 120_000, notice = () => {} }: PartLockOptions = {},
  ): Promise<PartLock> {
    const path = `${part}.lock`;
    const own = { host: hostname(), pid: process.pid, started: performance.timeOrigin, token: randomUUID() };
    while (!(await create(path, own))) {
      const holder = await readHolder(path);
      if (!holder) continue;
      const who = `process ${holder.pid} on ${holder.host}`;
      if (!isGone(holder, own)) {
        notice(`${part} has the lock of ${who}; waiting for a sign of life, ${Math.round(silence / 1000)} seconds at most.`);
        if (await showsLife(path, holder, silence, Math.min(beat, 500)))
          throw new DatasetError(
            `${part} is being written by ${who}. One process at a time writes a part: wait for it, or run another share.`,
          );
      }
      // Not where the lock was given back, or somebody else was faster.
      if ((await readHolder(path))?.token !== holder.token) continue;
      notice(`${part} was left locked by ${who}, which is gone; going on.`);
      await remove(path);
    }
    return new PartLock(part, path, own, beat);
  }

  /** @throws DatasetError where another process has taken the part over, as after a long time without a sign of life */
  async check(): Promise<void> {
    const holder = await readHolder(this.path);
    if (holder?.token === this.own.token) return;
    const who = holder ? `process ${holder.pid} on ${holder.host} has taken over` : 'its lock was taken away';
    throw new DatasetError(`${this.part}: ${who}; this process stops writing it. What it has written is whole.`);
  }

  async release(): Promise<void> {
    clearInterval(this.timer);
    if ((await readHolder(this.path))?.token === this.own.token) await remove(this.path);
  }
}

/** Whether the file was made here: false where there is one. */
async function create(path: string, holder: Holder): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(JSON.stringify(holder));
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Undefined where there is no lock any more; one that is not written yet, or torn, has a holder that nobody knows. */
async function readHolder(path: string): Promise<Holder | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return { host: 'a machine that is not named', pid: 0, started: 0, token: '' };
  }
}

/** Whether the holder cannot be running: its process is gone, or would be this one. */
function isGone({ host, pid, started }: Holder, own: Holder): boolean {
  if (host !== own.host) return false;
  if (pid === own.pid) return started !== own.started;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Watches a lock: true as soon as its holder gives a sign of life, false where the lock goes or stays as it is for so long. */
async function showsLife(path: string, { token }: Holder, silence: number, every: number): Promise<boolean> {
  const first = await touched(path);
  for (let waited = 0; waited < silence; waited += every) {
    await new Promise((resolve) => setTimeout(resolve, every));
    const now = await touched(path);
    if (now === undefined || (await readHolder(path))?.token !== token) return false;
    if (now !== first) return true;
  }
  return false;
}

/** When the file was last touched; undefined where it is gone. */
async function touched(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
