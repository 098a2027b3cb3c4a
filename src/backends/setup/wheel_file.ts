import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import yauzl, { type Entry, type ZipFile } from 'yauzl';

/** Where a member of the archive goes inside the target folder; undefined leaves it out. */
export type Placement = (name: string) => string | undefined;

/**
 * Unpacks a part of a wheel (a zip file) by streaming. The target folder appears whole, by a rename at the end, or not at all.
 *
 * @param place says which members to take and where to.
 * @param onProgress told the unpacked bytes so far and in all.
 * @returns how many files were written.
 * @throws Error where the archive is damaged or a member's name leaves the folder.
 */
export async function unpackWheel(
  wheel: string,
  target: string,
  place: Placement,
  onProgress: (done: number, total: number) => void,
): Promise<number> {
  const temporary = `${target}.${process.pid}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const zip = await open(wheel);
  try {
    const wanted: { entry: Entry; path: string }[] = [];
    await eachEntry(zip, (entry) => {
      const path = entry.fileName.endsWith('/') ? undefined : place(entry.fileName);
      if (path === undefined) return;
      const inside = normalize(path);
      if (isAbsolute(inside) || inside.split(sep).includes('..'))
        throw new Error(`${wheel}: the member ${entry.fileName} leaves the folder`);
      wanted.push({ entry, path: inside });
    });
    const total = wanted.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0);
    let done = 0;
    const folders = new Set<string>();
    for (const { entry, path } of wanted) {
      const file = join(temporary, path);
      if (!folders.has(dirname(file))) await mkdir(dirname(file), { recursive: true });
      folders.add(dirname(file));
      const source = await readStream(zip, entry);
      source.on('data', (chunk: Buffer) => onProgress((done += chunk.length), total));
      await pipeline(source, createWriteStream(file));
    }
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
    return wanted.length;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  } finally {
    zip.close();
  }
}

function open(path: string): Promise<ZipFile> {
  return new Promise((resolve, reject) => {
    yauzl.open(path, { lazyEntries: true, autoClose: false }, (error, zip) => (error ? reject(error) : resolve(zip)));
  });
}

function eachEntry(zip: ZipFile, visit: (entry: Entry) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    zip.on('error', reject);
    zip.on('end', resolve);
    zip.on('entry', (entry: Entry) => {
      try {
        visit(entry);
        zip.readEntry();
      } catch (error) {
        reject(error as Error);
      }
    });
    zip.readEntry();
  });
}

function readStream(zip: ZipFile, entry: Entry): Promise<Readable> {
  return new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => (error ? reject(error) : resolve(stream)));
  });
}
