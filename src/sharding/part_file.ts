import { mkdir, open, readdir, readFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { explainWriteError, writeFileAtomic } from '../atomic_file.js';
import { DatasetError } from '../errors.js';
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

const FORMAT = 'maskrcnn-part-1';
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
 * Reads a part; lines that are not whole are left out and counted.
 * @returns undefined where even the first line is torn or missing: nothing was done yet
 */
export async function readPart<T>(path: string): Promise<Part<T> | undefined> {
  const text = await readFile(path, 'utf8');
  const lines = text.split('\n');
  // After the last newline there is nothing, or what a crash has cut.
  let torn = lines.pop() === '' ? 0 : 1;
  const header = parsed(lines.shift() ?? '') as PartHeader | undefined;
  if (header?.format !== FORMAT) {
    if (lines.length === 0) return undefined;
    throw new DatasetError(
      `${path} is not a part that --shard wrote: its first line does not say "${FORMAT}". Take the file away.`,
    );
  }
  const records = new Map<number, T>();
  for (const line of lines) {
    const record = parsed(line) as PartRecord<T> | undefined;
    if (record && Number.isSafeInteger(record.image)) records.set(record.image, record.value);
    else torn++;
  }
  return { path, header, records, torn };
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
    /** What is there, by image. */
    readonly records: Map<number, T>,
  ) {}

  /**
   * Opens or resumes the part of a shard in a folder. What a crash tore is dropped.
   * @throws DatasetError where the folder holds parts of other work
   */
  static async open<T>(folder: string, shard: Shard, about: PartAbout): Promise<PartWriter<T>> {
    const path = join(folder, partName(shard));
    const header: PartHeader = { format: FORMAT, ...about, shard };
    let records = new Map<number, T>();
    let whole = false;
    for (const name of await listParts(folder)) {
      const own = name === partName(shard);
      const part = await readPart<T>(join(folder, name));
      if (!part) continue;
      const { count } = part.header.shard;
      if (count !== shard.count)
        throw new DatasetError(`${folder} holds ${name}, of ${count} shards, not of ${shard.count}. Use another folder, or take the old parts away.`); // prettier-ignore
      checkSame(part.path, part.header, about, 'this run');
      if (!own) continue;
      records = new Map(part.records);
      whole = part.torn === 0;
    }
    try {
      await mkdir(folder, { recursive: true });
      if (!whole) {
        const kept = [...records].map(([image, value]) => line({ image, value }));
        await writeFileAtomic(path, line(header) + kept.join(''));
      }
      return new PartWriter(path, await open(path, 'a'), records);
    } catch (error) {
      throw explainWriteError(path, error);
    }
  }

  /** Appends a record and waits until it is on the disk. */
  async append(image: number, value: T): Promise<void> {
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
  }
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
