import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Removes temporary files and folders (`NAME.PID.tmp`) whose process has ended: what a killed run left.
 *
 * @returns the names that were removed.
 */
export async function sweepTemporaries(folder: string, isAlive: (pid: number) => boolean = processLives): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  const stale = names.filter((name) => {
    const pid = /\.(\d+)\.tmp$/.exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
  for (const name of stale) await rm(join(folder, name), { recursive: true, force: true });
  return stale;
}

function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It lives, and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
