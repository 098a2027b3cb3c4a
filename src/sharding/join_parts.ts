import { join } from 'node:path';
import { DatasetError } from '../errors.js';
import { checkSame, listParts, partName, readPart, readPartHeader, type PartAbout } from './part_file.js';

/** All parts of a piece of work as one. */
export interface JoinedParts<T> {
  readonly about: PartAbout;
  readonly shards: number;
  readonly records: ReadonlyMap<number, T>;
}

/**
 * Reads all parts of a folder and checks that they belong together.
 * @throws DatasetError where a part is missing (named), or two do not belong together
 */
export async function joinParts<T>(folder: string): Promise<JoinedParts<T>> {
  const names = await listParts(folder);
  if (names.length === 0) throw noParts(folder);
  let about: PartAbout | undefined;
  let shards = 0;
  const records = new Map<number, T>();
  const empty: string[] = [];
  for (const name of names) {
    const part = await readPart<T>(join(folder, name));
    if (!part) {
      empty.push(name);
      continue;
    }
    about ??= part.header;
    shards ||= part.header.shard.count;
    if (part.header.shard.count !== shards)
      throw new DatasetError(
        `${folder} holds parts of ${shards} and of ${part.header.shard.count} shards; take the wrong ones away.`,
      );
    checkSame(part.path, part.header, about, names[0]!);
    for (const [image, value] of part.records) records.set(image, value);
  }
  const missing = Array.from({ length: shards }, (_, index) => partName({ index, count: shards })).filter(
    (name) => !names.includes(name) || empty.includes(name),
  );
  if (!about || missing.length > 0)
    throw new DatasetError(`${folder} lacks ${listed(about ? missing : empty)}: run the missing shards, then merge again.`);
  return { about, shards, records };
}

/** What wrote the parts of a folder. @throws DatasetError where there are none */
export async function partsCommand(folder: string): Promise<PartAbout['command']> {
  for (const name of await listParts(folder)) {
    const header = await readPartHeader(join(folder, name));
    if (header) return header.command;
  }
  throw noParts(folder);
}

function noParts(folder: string): DatasetError {
  return new DatasetError(`${folder} holds no parts (${partName({ index: 0, count: 4 })}, ...); run with --shard first.`);
}

/** Up to eight names. */
export function listed(names: readonly (string | number)[]): string {
  return names.slice(0, 8).join(', ') + (names.length > 8 ? ` and ${names.length - 8} more` : '');
}
