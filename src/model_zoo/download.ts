import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileAtomic } from '../atomic_file.js';
import { ZooError } from '../errors.js';
import { takeFileLock } from './file_lock.js';
import { downloadAttempt, PartMismatchError, TransientError, type PartState } from './download_attempt.js';

/** How a download goes and is watched. */
export interface DownloadOptions {
  /** Called as bytes come: so many of so many; the total is unknown where the server does not say. */
  onProgress?: (received: number, total: number | undefined) => void;
  /** Attempts without a single new byte before giving up (default 5). */
  attempts?: number;
  /** Wait before the second attempt in milliseconds, doubled each time (default 500). */
  backoffMs?: number;
  /** Give an attempt up after so many milliseconds without a byte (default 30000). */
  idleMs?: number;
  /** Stops the download; the part stays and a later call goes on from it. */
  signal?: AbortSignal;
  /** Called once where another process downloads the same file, before this one waits for it. */
  onWait?: (owner: string) => void;
  /** First digits of the file's MD5, where its publisher tells them. */
  md5Prefix?: string;
  /** For tests and proxies; the default is the global fetch. */
  fetch?: typeof fetch;
}

/** What is recorded beside a downloaded file, as `<file>.json`. */
export interface DownloadRecord {
  url: string;
  size: number;
  /** Lower-case hexadecimal. */
  sha256: string;
}

/**
 * Downloads a file: resumes what an earlier attempt left, retries, checks length and MD5, records size and SHA-256 beside it, and puts it in place by a rename.
 * Where another process downloads the same file, on this machine or one that shares the folder, it is waited for, and its file is taken.
 * @throws ZooError naming the address and the reason
 */
export async function download(url: string, target: string, options: DownloadOptions = {}): Promise<DownloadRecord> {
  await mkdir(dirname(target), { recursive: true });
  const { waited, release } = await takeFileLock(`${target}.lock`, options);
  try {
    // Who had it before may have brought the file.
    const brought = waited ? await recordOf(target) : undefined;
    if (brought?.url === url) return brought;
    const part = `${target}.part`;
    await fetchPart(url, part, options);
    const hashes = await hashFile(part);
    if (options.md5Prefix && !hashes.md5.startsWith(options.md5Prefix)) {
      await dropPart(part);
      throw new ZooError(
        `${url}: the file that came is damaged or another one: its MD5 begins ${hashes.md5.slice(0, options.md5Prefix.length)}, published is ${options.md5Prefix}; try again`,
      );
    }
    const record: DownloadRecord = { url, size: hashes.size, sha256: hashes.sha256 };
    await writeFileAtomic(`${target}.json`, `${JSON.stringify(record, null, 2)}\n`);
    await rename(part, target);
    await rm(`${part}.json`, { force: true });
    return record;
  } finally {
    await release();
  }
}

async function fetchPart(url: string, part: string, o: DownloadOptions): Promise<void> {
  const { attempts = 5, backoffMs = 500, idleMs = 30_000 } = o;
  let state = await readState(part, url);
  if (state.url !== url) await dropPart(part);
  state.url = url;
  for (let failures = 0; ;) {
    // 'r+' keeps what is there; 'a' would ignore the write position.
    const file = await open(part, 'r+').catch(() => open(part, 'w+'));
    const before = (await file.stat()).size;
    try {
      if (before > 0 && before === state.total) return;
      await downloadAttempt(url, file, before, state, {
        fetch: o.fetch ?? fetch,
        signal: o.signal,
        idleMs,
        onBytes: (received, total) => o.onProgress?.(received, total),
        onState: async (next) => {
          state = next;
          // A damaged note only costs a fresh start, so it need not be synced.
          await writeFile(`${part}.json`, JSON.stringify(next));
        },
      });
      await file.sync();
      return;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      // Bytes beyond the announced end would be taken for the file's own at the next attempt.
      const after = (await file.stat()).size;
      if (error instanceof PartMismatchError || (state.total !== undefined && after > state.total)) await file.truncate(0);
      failures = after > before ? 1 : failures + 1;
      if (failures >= attempts)
        throw new ZooError(
          `${url}: the download failed ${attempts} times, at last because ${error.message}; a later call goes on where it stopped`,
          {
            cause: error,
          },
        );
    } finally {
      await file.close();
    }
    await sleep(backoffMs * 2 ** (failures - 1), undefined, { signal: o.signal });
  }
}

/** What was recorded of a file that is there. */
async function recordOf(target: string): Promise<DownloadRecord | undefined> {
  if (!existsSync(target)) return undefined;
  try {
    return JSON.parse(await readFile(`${target}.json`, 'utf8')) as DownloadRecord;
  } catch {
    return undefined;
  }
}

async function readState(part: string, url: string): Promise<PartState> {
  try {
    return JSON.parse(await readFile(`${part}.json`, 'utf8')) as PartState;
  } catch {
    return { url };
  }
}

async function dropPart(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(`${part}.json`, { force: true });
}

/** SHA-256 and MD5 in lower-case hexadecimal, and the size in bytes, in one pass. */
export async function hashFile(path: string): Promise<{ sha256: string; md5: string; size: number }> {
  const sha256 = createHash('sha256');
  const md5 = createHash('md5');
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    sha256.update(chunk);
    md5.update(chunk);
    size += chunk.length;
  }
  return { sha256: sha256.digest('hex'), md5: md5.digest('hex'), size };
}
