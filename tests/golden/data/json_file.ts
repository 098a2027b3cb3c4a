import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Reads JSON of a golden folder. */
export const readJson = <T>(folder: string, name: string): T => JSON.parse(readFileSync(join(folder, name), 'utf8')) as T;
