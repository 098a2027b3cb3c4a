import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PartAbout, PartWriter } from '../../src/sharding/part_file.js';
import { PartLock } from '../../src/sharding/part_lock.js';

const about: PartAbout = { command: 'evaluate', images: 4, same: { weights: 'ab' } };
const shard = { index: 0, count: 1 };
const quick = { beat: 20, silence: 400 };
let folder: string;
let part: string;
let notices: string[];
const notice = (line: string): void => void notices.push(line);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
  part = join(folder, 'part_0000_of_0001.jsonl');
  notices = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const leave = (holder: object): void =>
  writeFileSync(`${part}.lock`, JSON.stringify({ host: hostname(), pid: 1, started: 0, token: 'old', ...holder }));

describe('the lock of a part', () => {
  it('is refused while its holder lives, free once it is given back', async () => {
    const first = await PartWriter.open<string>(folder, shard, about, quick);
    expect(JSON.parse(readFileSync(`${part}.lock`, 'utf8'))).toMatchObject({ host: hostname(), pid: process.pid });
    await expect(PartWriter.open(folder, shard, about, { ...quick, notice })).rejects.toThrow(
      `${part} is being written by process ${process.pid} on ${hostname()}. One process at a time`,
    );
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain('waiting for a sign of life');
    await first.append(1, 'a');
    await first.close();
    expect(existsSync(`${part}.lock`)).toBe(false);
    const second = await PartWriter.open<string>(folder, shard, about, quick);
    expect([...second.records]).toEqual([[1, 'a']]);
    await second.close();
  });

  it('is taken over at once from a process that is gone, and that is told', async () => {
    // No process has this id on Linux.
    leave({ pid: 4_194_305 });
    const lock = await PartLock.take(part, { beat: 20, silence: 600_000, notice });
    expect(notices).toEqual([`${part} was left locked by process 4194305 on ${hostname()}, which is gone; going on.`]);
    await lock.release();
  });

  it('of a container that was started again under the same name and process id is its own', async () => {
    leave({ pid: process.pid });
    const lock = await PartLock.take(part, { beat: 20, silence: 600_000, notice });
    expect(notices[0]).toContain('which is gone');
    await lock.release();
  });

  it('of another machine is waited for, and taken over without a sign of life', async () => {
    leave({ host: 'elsewhere', pid: 7 });
    const lock = await PartLock.take(part, { ...quick, notice });
    expect(notices).toEqual([
      expect.stringMatching(/has the lock of process 7 on elsewhere; waiting for a sign of life/),
      `${part} was left locked by process 7 on elsewhere, which is gone; going on.`,
    ]);
    await lock.release();
  });

  it('that was taken over keeps the first holder from writing any more; what it wrote stays', async () => {
    const first = await PartWriter.open<string>(folder, shard, about, quick);
    await first.append(1, 'a');
    // As where this process was stopped for a long time.
    leave({ host: 'elsewhere', pid: 7 });
    await expect(first.append(2, 'b')).rejects.toThrow(
      `${part}: process 7 on elsewhere has taken over; this process stops writing it.`,
    );
    await first.close();
    expect(existsSync(`${part}.lock`)).toBe(true);
    expect(readFileSync(part, 'utf8').split('\n').slice(1)).toEqual(['{"image":1,"value":"a"}', '']);
  });
});
