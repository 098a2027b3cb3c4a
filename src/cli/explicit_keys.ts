import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { readYaml } from '../config/read_yaml.js';

/** The keys of `KEY=VALUE` arguments. */
export function keysOf(overrides: readonly string[]): string[] {
  return overrides.map((override) => override.slice(0, override.indexOf('=')).trim());
}

/**
 * Keys that someone set, which a recipe leaves as they are: on the command line, or in the file itself, not in its bases.
 * @param config a file, or a model of the zoo, which sets nothing of its own
 * @param hasEpochs whether the length is given in epochs: then the file's own length is not meant
 */
export async function explicitKeys(
  overrides: readonly string[],
  config: string | undefined,
  hasEpochs: boolean,
): Promise<Set<string>> {
  const given = keysOf(overrides);
  if (config === undefined || !/\.ya?ml$/i.test(config) || !existsSync(config)) return new Set(given);
  const keys = new Set<string>();
  const visit = (node: unknown, prefix: string): void => {
    if (typeof node === 'object' && node !== null && !Array.isArray(node))
      for (const [key, value] of Object.entries(node)) visit(value, prefix === '' ? key : `${prefix}.${key}`);
    else keys.add(prefix);
  };
  visit(readYaml(await readFile(config, 'utf8'), config), '');
  keys.delete('_BASE_');
  if (hasEpochs) for (const key of ['MAX_ITER', 'STEPS', 'WARMUP_ITERS']) keys.delete(`SOLVER.${key}`);
  return new Set([...keys, ...given]);
}
