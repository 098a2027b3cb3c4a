import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a lock is waited for. */
export interface FileLockOptions {
  /** Called once, before waiting. */
  onWait?: (owner: string) => void;
  /** Ends the waiting. */
  signal?: AbortSignal;
  /** Milliseconds between looks at a lock that another process has; that process gives a sign four times as often as it is given up for. */
  pollMs?: number;
  /** Milliseconds without a sign of a process on another machine after which it is taken for dead. */
  silentMs?: number;
}

interface Owner {
  readonly host: string;
  readonly pid: number;
}

/**
 * Takes a lock that is a file, in a folder that several machines may share; waits for the process that has it. The lock of a process that is gone is taken
 * over: on this machine the system knows, on another one the file is not touched any more.
 * @returns whether another process had it, and what gives it back
 */
export async function takeFileLock(
  path: string,
  { onWait, signal, pollMs = 200, silentMs = 60_000 }: FileLockOptions = {},
): Promise<{ waited: boolean; release: () => Promise<void> }> {
  let waited = false;
  let seen: { readonly content: string; readonly touched: number; readonly since: number } | undefined;
  while (!(await create(path))) {
    const [content, touched] = await Promise.all([readFile(path, 'utf8'), stat(path).then(({ mtimeMs }) => mtimeMs)]).catch(
      () => [],
    );
    // Given back meanwhile.
    if (content === undefined || touched === undefined) continue;
    const owner = ownerOf(content);
    const now = performance.now();
    // The other machine's clock may differ: what counts is how long the file was seen without a change.
    if (seen?.content !== content || seen.touched !== touched) seen = { content, touched, since: now };
    const isDead = owner?.host === hostname() ? !isRunning(owner.pid) : now - seen.since > silentMs;
    if (isDead) {
      await takeAway(path, content);
      continue;
    }
    if (!waited) onWait?.(owner ? `process ${owner.pid} on ${owner.host}` : 'another process');
    waited = true;
    await sleep(pollMs, undefined, signal ? { signal } : {});
  }
  const touching = setInterval(() => {
    const now = new Date();
    // A lock that was taken away meanwhile is not made anew.
    utimes(path, now, now).catch(() => undefined);
  }, silentMs / 4);
  touching.unref();
  return {
    waited,
    release: async () => {
      clearInterval(touching);
      await rm(path, { force: true });
    },
  };
}

/** Whether the lock is ours now. */
async function create(path: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(JSON.stringify({ host: hostname(), pid: process.pid } satisfies Owner));
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

/** Removes the lock of a dead process; one that another process has made meanwhile is put back. */
async function takeAway(path: string, content: string): Promise<void> {
  const aside = `${path}.${hostname()}.${process.pid}.old`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== content) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

function ownerOf(content: string): Owner | undefined {
  try {
    const owner = JSON.parse(content) as Owner | number;
    // Locks of earlier versions hold the process alone.
    return typeof owner === 'number' ? { host: hostname(), pid: owner } : owner;
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
