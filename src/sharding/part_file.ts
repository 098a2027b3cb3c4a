import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { explainWriteError, writeFileAtomic } from '../atomic_file.js';
import { DatasetError } from '../errors.js';
import { PartLock, type PartLockOptions } from './part_lock.js';
import type { Shard } from './shard.js';

/** What a part is of: parts with the same values can be joined, and an interrupted one resumed. */
export interface PartAbout {
  /** The command that writes it. */
  readonly command: 'evaluate' | 'predict';
  /** How many images all parts hold together. */
  readonly images: number;
  /** Hashes and settings by name; all must agree. */
  readonly same: Readonly<Record<string, string | number>>;
}

/** The first line of a part. */
export interface PartHeader extends PartAbout {
  readonly format: typeof FORMAT;
  readonly shard: Shard;
}

/** One line: what one image gave. */
export interface PartRecord<T> {
  /** The image's place or id: unique in all parts. */
  readonly image: number;
  readonly value: T;
}

/** A part as it lies on disk. */
export interface Part<T> {
  readonly path: string;
  readonly header: PartHeader;
  /** By image; of two records of one image the later counts. */
  readonly records: ReadonlyMap<number, T>;
  /** Lines that are no whole records, as a crash leaves them. */
  readonly torn: number;
}

const FORMAT = 'maskrcnn-part-2';
const NAME = /^part_(\d+)_of_(\d+)\.jsonl$/;

/** `part_0001_of_0004.jsonl`. */
export function partName({ index, count }: Shard): string {
  const width = Math.max(4, String(count).length);
  return `part_${String(index).padStart(width, '0')}_of_${String(count).padStart(width, '0')}.jsonl`;
}

/** The parts in a folder, by name. */
export async function listParts(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => NAME.test(name)).sort();
}

/**
 * Reads a part line by line; lines that are not whole are left out and counted.
 * @returns undefined where even the first line is torn or missing: nothing was done yet
 */
export async function readPart<T>(path: string): Promise<Part<T> | undefined> {
  let header: PartHeader | undefined;
  let torn = 0;
  const records = new Map<number, T>();
  for await (const { text, whole } of linesOf(path)) {
    if (!header) {
      header = headerOf(path, text, whole);
      if (!header) return undefined;
      continue;
    }
    const record = whole ? (parsed(text) as PartRecord<T> | undefined) : undefined;
    if (record && Number.isSafeInteger(record.image)) records.set(record.image, record.value);
    else torn++;
  }
  return header && { path, header, records, torn };
}

/** The first line of a part alone; undefined where it is torn or missing. */
export async function readPartHeader(path: string): Promise<PartHeader | undefined> {
  for await (const { text, whole } of linesOf(path)) return headerOf(path, text, whole);
  return undefined;
}

/** Lines as they are in the file; what follows the last newline is what a crash has cut. */
async function* linesOf(path: string): AsyncGenerator<{ text: string; whole: boolean }> {
  let rest = '';
  for await (const chunk of createReadStream(path, { encoding: 'utf8' }) as AsyncIterable<string>) {
    const lines = chunk.split('\n');
    lines[0] = rest + lines[0]!;
    rest = lines.pop()!;
    for (const text of lines) yield { text, whole: true };
  }
  if (rest !== '') yield { text: rest, whole: false };
}

/** @throws DatasetError for a whole line that is no header */
function headerOf(path: string, text: string, whole: boolean): PartHeader | undefined {
  if (!whole) return undefined;
  const header = parsed(text) as PartHeader | undefined;
  if (header?.format === FORMAT) return header;
  throw new DatasetError(
    `${path} is not a part that --shard wrote, or one of another version: its first line does not say "${FORMAT}". Take the file away.`,
  );
}

/** @throws DatasetError that names the first thing that two parts differ in */
export function checkSame(path: string, header: PartHeader, about: PartAbout, other: string): void {
  const differs = (what: string, here: unknown, there: unknown): never => {
    throw new DatasetError(
      `${path} and ${other} do not belong together: ${what} is ${String(here)} in the one and ${String(there)} in the other. Run all shards with the same command on the same files, or use another folder.`,
    );
  };
  for (const key of ['command', 'images'] as const) if (header[key] !== about[key]) differs(key, header[key], about[key]);
  for (const key of new Set([...Object.keys(header.same), ...Object.keys(about.same)]))
    if (header.same[key] !== about.same[key]) differs(key, header.same[key], about.same[key]);
}

/** Appends whole records to a shard's part and knows which images are done, also from runs before that were interrupted. */
export class PartWriter<T> {
  private constructor(
    readonly path: string,
    private readonly file: FileHandle,
    private readonly lock: PartLock,
    /** What is there, by image. */
    readonly records: Map<number, T>,
  ) {}

  /**
   * Opens or resumes the part of a shard in a folder. What a crash tore is dropped.
   * @throws DatasetError where the folder holds parts of other work, or another process writes this one
   */
  static async open<T>(folder: string, shard: Shard, about: PartAbout, lock: PartLockOptions = {}): Promise<PartWriter<T>> {
    const name = partName(shard);
    const path = join(folder, name);
    for (const other of await listParts(folder)) {
      const header = await readPartHeader(join(folder, other));
      if (!header) continue;
      const { count } = header.shard;
      if (count !== shard.count)
        throw new DatasetError(`${folder} holds ${other}, of ${count} shards, not of ${shard.count}. Use another folder, or take the old parts away.`); // prettier-ignore
      checkSame(join(folder, other), header, about, 'this run');
    }
    let held: PartLock | undefined;
    try {
      await mkdir(folder, { recursive: true });
      held = await PartLock.take(path, lock);
      // Only now: whoever held the lock may have written until then.
      const part = (await listParts(folder)).includes(name) ? await readPart<T>(path) : undefined;
      const records = new Map(part?.records);
      if (part?.torn !== 0) {
        const header: PartHeader = { format: FORMAT, ...about, shard };
        await writeFileAtomic(path, bytesOf([header, ...Array.from(records, ([image, value]) => ({ image, value }))]));
      }
      return new PartWriter(path, await open(path, 'a'), held, records);
    } catch (error) {
      await held?.release();
      throw explainWriteError(path, error);
    }
  }

  /**
   * Appends a record and waits until it is on the disk.
   * @throws DatasetError where another process has taken the part over
   */
  async append(image: number, value: T): Promise<void> {
    await this.lock.check();
    try {
      await this.file.appendFile(line({ image, value }));
      await this.file.datasync();
    } catch (error) {
      throw explainWriteError(this.path, error);
    }
    this.records.set(image, value);
  }

  async close(): Promise<void> {
    await this.file.close();
    await this.lock.release();
  }
}

/** Line by line: all of them together may be longer than a string can be. */
function* bytesOf(values: readonly object[]): Generator<Uint8Array> {
  for (const value of values) yield new TextEncoder().encode(line(value));
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function parsed(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
