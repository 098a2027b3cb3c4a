import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import { CheckpointError } from '../errors.js';
import type { ConcreteDevice } from '../backends/device.js';
import type { CocoFiles, ValidationFiles } from './training_run.js';

/** What a run was started on. */
export interface RunArguments {
  readonly train: CocoFiles;
  readonly validation?: ValidationFiles;
  /** What computes: another device would give other last digits. */
  readonly device: ConcreteDevice;
}

const FILE = 'data.json';

/** Notes in a run's folder what it is on, so that it can be resumed without naming that again. */
export async function writeRunArguments(folder: string, { train, validation, device }: RunArguments): Promise<void> {
  const absolute = ({ json, images, semantic, panoptic }: ValidationFiles): ValidationFiles => ({
    json: resolve(json),
    images: resolve(images),
    ...(semantic === undefined ? {} : { semantic: resolve(semantic) }),
    ...(panoptic === undefined ? {} : { panoptic: { json: resolve(panoptic.json), folder: resolve(panoptic.folder) } }),
  });
  const content = { train: absolute(train), ...(validation ? { validation: absolute(validation) } : {}), device };
  await writeFileAtomic(join(folder, FILE), `${JSON.stringify(content, null, 2)}\n`);
}

/** What `writeRunArguments` noted. @throws CheckpointError where there was no run */
export async function readRunArguments(folder: string): Promise<RunArguments> {
  const path = join(folder, FILE);
  try {
    return JSON.parse(await readFile(path, 'utf8')) as RunArguments;
  } catch (cause) {
    throw new CheckpointError(
      `${path} cannot be read: there is no run to resume in ${folder}. Leave --resume out to start one.`,
      { cause },
    );
  }
}
