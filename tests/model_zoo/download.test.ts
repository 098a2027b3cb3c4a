import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ZooError } from '../../src/errors.js';
import { download, type DownloadOptions } from '../../src/model_zoo/download.js';
import { cutAfter, serve, serveWhole, startWeightServer, status, type Answer } from './weight_server.js';

const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) ^ (i >> 8));
const hash = (name: string) => createHash(name).update(bytes).digest('hex');

let folder: string;
let target: string;
let server: Awaited<ReturnType<typeof startWeightServer>>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zoo-'));
  target = join(folder, 'sub', 'model.pkl');
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function get(answers: Answer[], options: DownloadOptions = {}) {
  server = await startWeightServer(answers);
  return download(`${server.url}model.pkl`, target, { backoffMs: 1, idleMs: 2000, ...options });
}

function expectWhole() {
  expect(readFileSync(target).equals(bytes)).toBe(true);
  expect(readdirSync(join(folder, 'sub')).sort()).toEqual(['model.pkl', 'model.pkl.json']);
}

describe('download', () => {
  it('writes the file, records its SHA-256 and reports progress', async () => {
    const progress: [number, number | undefined][] = [];
    const record = await get([serve(bytes)], { onProgress: (...p) => progress.push(p), md5Prefix: hash('md5').slice(0, 6) });
    expectWhole();
    expect(record).toEqual({ url: `${server.url}model.pkl`, size: 300_000, sha256: hash('sha256') });
    expect(JSON.parse(readFileSync(`${target}.json`, 'utf8'))).toEqual(record);
    expect(progress[0]).toEqual([0, 300_000]);
    expect(progress.at(-1)).toEqual([300_000, 300_000]);
    expect(progress.map(([n]) => n)).toEqual([...progress.map(([n]) => n)].sort((a, b) => a - b));
  });

  it('goes on where cut connections stopped', async () => {
    await get([cutAfter(bytes, 100_000), cutAfter(bytes, 50_000), serve(bytes)]);
    expectWhole();
    expect(server.requests.map(({ range, ifRange }) => [range, ifRange])).toEqual([
      [undefined, undefined],
      ['bytes=100000-', '"a"'],
      ['bytes=150000-', '"a"'],
    ]);
  });

  it('does not count attempts that made progress', async () => {
    const cuts = Array.from({ length: 8 }, () => cutAfter(bytes, 20_000));
    await get([...cuts, serve(bytes)], { attempts: 2 });
    expectWhole();
    expect(server.requests).toHaveLength(9);
  });

  it('starts over where the server ignores ranges, changed the file, or gives nothing to tell it by', async () => {
    await get([cutAfter(bytes, 100_000), serveWhole(bytes)]);
    expectWhole();
    await server.close();
    rmSync(join(folder, 'sub'), { recursive: true });
    const older = bytes.map((b) => b ^ 255);
    await get([cutAfter(older, 100_000, { etag: '"old"' }), serve(bytes)]);
    expectWhole();
    await server.close();
    rmSync(join(folder, 'sub'), { recursive: true });
    await get([cutAfter(bytes, 100_000, {}), serve(bytes, {})]);
    expectWhole();
    expect(server.requests[1].range).toBeUndefined();
  });

  it('goes on with what an earlier call left', async () => {
    await expect(get([cutAfter(bytes, 100_000)], { attempts: 1 })).rejects.toThrow(
      /failed 1 times, at last because .*; a later call goes on where it stopped/,
    );
    expect(existsSync(target)).toBe(false);
    expect(readFileSync(`${target}.part`)).toHaveLength(100_000);
    const state = JSON.parse(readFileSync(`${target}.part.json`, 'utf8')) as { url: string };
    await server.close();
    server = await startWeightServer([serve(bytes)]);
    writeFileSync(`${target}.part.json`, JSON.stringify({ ...state, url: `${server.url}model.pkl` }));
    await download(`${server.url}model.pkl`, target);
    expectWhole();
    expect(server.requests[0].range).toBe('bytes=100000-');
  });

  it('throws a part of another address away', async () => {
    await expect(get([cutAfter(bytes, 100_000)], { attempts: 1 })).rejects.toThrow(ZooError);
    await server.close();
    await get([serve(bytes)]);
    expectWhole();
    expect(server.requests[0].range).toBeUndefined();
  });

  it('retries what passes: 503, 429, empty answers', async () => {
    await get([status(503), status(429), status(200), serve(bytes)]);
    expectWhole();
  });

  it('starts over after 416 and after a wrong range', async () => {
    const wrongRange: Answer = (_, response) =>
      void response.writeHead(206, { etag: '"a"', 'content-range': 'bytes 7-299999/300000' }).end(bytes.subarray(7));
    await get([cutAfter(bytes, 1000), status(416), cutAfter(bytes, 1000), wrongRange, serve(bytes)]);
    expectWhole();
    expect(server.requests.map(({ range }) => range)).toEqual([undefined, 'bytes=1000-', undefined, 'bytes=1000-', undefined]);
  });

  it('gives up on silence and says so', async () => {
    const silent: Answer = (_, response) => void response.writeHead(200, { 'content-length': 10 }).write('abc');
    await expect(get([silent], { idleMs: 60, attempts: 2 })).rejects.toThrow(/nothing came for 60 ms/);
  });

  it.each<[string, Answer, RegExp]>([
    ['404', status(404), /model\.pkl: the server answered 404/],
    ['a page by its type', status(200, '<p>log in</p>', 'text/html; charset=utf-8'), /a web page came instead of weights/],
    [
      'a page by its look',
      status(200, '\n<!DOCTYPE html><p>log in</p>', 'application/octet-stream'),
      /a web page came instead of weights/,
    ],
  ])('refuses %s at once', async (_, answer, message) => {
    await expect(get([answer])).rejects.toThrow(message);
    expect(server.requests).toHaveLength(1);
    expect(existsSync(target)).toBe(false);
  });

  it('refuses a file that is shorter or longer than announced', async () => {
    const lieShort: Answer = (_, response) => {
      response.writeHead(200, { 'content-length': 400_000 });
      response.write(bytes, () => setTimeout(() => response.destroy(), 20));
    };
    await expect(get([lieShort], { attempts: 2 })).rejects.toThrow(ZooError);
    expect(existsSync(target)).toBe(false);
    await server.close();
    // The announced length cuts the file: only the published MD5 can tell.
    const lieLong: Answer = (_, response) => {
      response.socket!.end(
        Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n'), bytes]),
      );
    };
    await expect(get([lieLong], { attempts: 2, md5Prefix: hash('md5').slice(0, 6) })).rejects.toThrow(
      /its MD5 begins [0-9a-f]{6}, published is|the download failed/,
    );
    expect(existsSync(target)).toBe(false);
  });

  it('checks the published MD5 and forgets what does not match', async () => {
    await expect(get([serve(bytes)], { md5Prefix: '000000' })).rejects.toThrow(
      `its MD5 begins ${hash('md5').slice(0, 6)}, published is 000000; try again`,
    );
    expect(readdirSync(join(folder, 'sub'))).toEqual([]);
  });

  it('stops at the signal and keeps the part', async () => {
    const abort = new AbortController();
    const slow: Answer = (_, response) =>
      void response.writeHead(200, { etag: '"a"', 'content-length': 300_000 }).write(bytes.subarray(0, 5000));
    const onProgress = (received: number) => {
      if (received > 0) abort.abort(new Error('enough'));
    };
    await expect(get([slow], { signal: abort.signal, onProgress })).rejects.toThrow('enough');
    expect(readFileSync(`${target}.part`)).toHaveLength(5000);
    expect(existsSync(`${target}.lock`)).toBe(false);
  });

  it('waits for another call that downloads the same file, and takes what that one brings', async () => {
    const waits: string[] = [];
    const first = get([serve(bytes)]);
    while (!existsSync(`${target}.lock`)) await new Promise((resolve) => setTimeout(resolve, 1));
    const second = download(`${server.url}model.pkl`, target, { onWait: (owner) => waits.push(owner) });
    expect(await second).toEqual(await first);
    expect(server.requests).toHaveLength(1);
    expect(waits).toEqual([`process ${process.pid} on ${hostname()}`]);
    expectWhole();
  });

  it('takes over from a process that is dead', async () => {
    await get([serve(bytes)]);
    writeFileSync(`${target}.lock`, '999999999');
    await download(`${server.url}model.pkl`, target);
    expectWhole();
  });
});
