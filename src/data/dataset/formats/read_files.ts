import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { DatasetError } from '../../../errors.js';

/** Endings of picture files that are looked for. */
const PICTURES = ['.jpg', '.jpeg', '.png', '.webp', '.avif', '.gif', '.tif', '.tiff', '.bmp'];

/** Files of a folder by name, those with one of the endings; relative names, subfolders included. */
export async function filesOf(folder: string, endings: readonly string[]): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true });
    return entries.filter((f) => endings.includes(extname(f).toLowerCase())).sort();
  } catch (error) {
    throw new DatasetError(`The folder ${folder} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** Pictures of a folder by their name without ending; a name that occurs twice is an error. */
export async function picturesByStem(folder: string): Promise<Map<string, string>> {
  const out = new Map<string, string>();
  for (const file of await filesOf(folder, PICTURES)) {
    const stem = basename(file, extname(file));
    const other = out.get(stem);
    if (other !== undefined) throw new DatasetError(`${folder} has two pictures called "${stem}": ${other} and ${file}.`);
    out.set(stem, file);
  }
  return out;
}

/** Width and height of a picture as it is shown: its orientation is applied. Only the head of the file is read. */
export async function pictureSize(path: string): Promise<{ width: number; height: number }> {
  const { default: sharp } = await import('sharp');
  try {
    const { width, height, orientation } = await sharp(path).metadata();
    return (orientation ?? 1) >= 5 ? { width: height, height: width } : { width, height };
  } catch (error) {
    throw new DatasetError(`The picture ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws DatasetError naming the file */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new DatasetError(`${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws DatasetError naming the file */
export async function readJsonObject(path: string): Promise<Record<string, unknown>> {
  const text = await readText(path);
  try {
    return asObject(JSON.parse(text) as unknown, path);
  } catch (error) {
    if (error instanceof DatasetError) throw error;
    throw new DatasetError(`${path} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws DatasetError when it is none */
export function asObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new DatasetError(`${where} must be an object.`);
  return value as Record<string, unknown>;
}

/** @throws DatasetError when it is no finite number (as text or not) */
export function asNumber(value: unknown, where: string): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number))
    throw new DatasetError(`${where} must be a number, it is ${JSON.stringify(value)}.`);
  return number;
}

/** @throws DatasetError when it is no list of finite numbers */
export function asNumbers(value: unknown, where: string): number[] {
  if (!Array.isArray(value)) throw new DatasetError(`${where} must be a list of numbers.`);
  return value.map((v, i) => asNumber(v, `${where}[${i}]`));
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Is told how many files are done, of how many. */
export type FilesDone = (done: number, total: number) => void;

/** Goes through a list and tells how far it is. */
export function* counted<T>(items: readonly T[], tick: FilesDone | undefined): Generator<T> {
  for (const [i, item] of items.entries()) {
    yield item;
    tick?.(i + 1, items.length);
  }
}
