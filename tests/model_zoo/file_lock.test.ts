import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeFileLock } from '../../src/model_zoo/file_lock.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
  path = join(folder, 'file.lock');
});
afterEach(() => rmSync(folder, { recursive: true }));

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('takeFileLock', () => {
  it('gives the lock to one after the other', async () => {
    const order: number[] = [];
    let inside = 0;
    const work = async (i: number) => {
      const { release } = await takeFileLock(path, { pollMs: 1 });
      expect(++inside).toBe(1);
      await pause(5);
      inside--;
      order.push(i);
      await release();
    };
    await Promise.all([0, 1, 2, 3, 4].map(work));
    expect(order.sort()).toEqual([0, 1, 2, 3, 4]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('says who has it, by process and machine', async () => {
    const { release, waited } = await takeFileLock(path);
    expect(waited).toBe(false);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ host: hostname(), pid: process.pid });
    const owners: string[] = [];
    const next = takeFileLock(path, { pollMs: 1, onWait: (owner) => owners.push(owner) });
    while (owners.length === 0) await pause(1);
    await release();
    const second = await next;
    expect(second.waited).toBe(true);
    await second.release();
    expect(owners).toEqual([`process ${process.pid} on ${hostname()}`]);
  });

  it('does not ask this machine about the process of another one: that is dead once it gives no sign', async () => {
    // A number that no process has here.
    writeFileSync(path, JSON.stringify({ host: 'another.machine', pid: 999_999_999 }));
    let taken = false;
    const lock = takeFileLock(path, { pollMs: 2, silentMs: 400 }).then((held) => {
      taken = true;
      return held;
    });
    // Signs, by a clock that is an hour behind.
    for (let i = 0; i < 40; i++) {
      const hourAgo = Date.now() / 1000 - 3600;
      utimesSync(path, hourAgo + i, hourAgo + i);
      await pause(20);
      expect(taken).toBe(false);
    }
    const { waited, release } = await lock;
    expect(waited).toBe(true);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ host: hostname(), pid: process.pid });
    await release();
    expect(existsSync(path)).toBe(false);
  });

  it('ends its waiting where it is told to', async () => {
    const { release } = await takeFileLock(path);
    await expect(takeFileLock(path, { signal: AbortSignal.timeout(20), pollMs: 5 })).rejects.toThrow();
    await release();
  });
});
