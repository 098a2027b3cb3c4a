import { ConfigError } from '../errors.js';
import { defaultConfig, mergeInto } from './merge.js';
import { mergePublished } from './merge_published.js';
import { applyOverrides } from './overrides.js';
import { publishedConfigs } from './published.js';
import { readYaml } from './read_yaml.js';
import type { Config } from './schema.js';

/** A configuration and what the reader should be told once about it. */
export interface LoadedConfig {
  config: Config;
  /** A line for each key that is set but has no effect here. */
  warnings: string[];
}

/** A YAML file and where it came from. */
export interface ConfigText {
  text: string;
  /** Names the file in errors, and tells whether `_BASE_` goes in a circle. */
  where: string;
}

/** Finds a `_BASE_` file beside the file that names it (the last of the chain), or says where it is not. */
export type BaseReader = (name: string, chain: readonly string[]) => ConfigText | { lookedFor: string };

/**
 * Reads Detectron2's YAML from memory over the defaults. A `_BASE_` must be the name of one of Detectron2's own files
 * (`../Base-RCNN-FPN.yaml`), which are built in.
 * @param where names the text in errors
 * @param overrides `KEY=VALUE`, applied in order
 * @throws ConfigError naming the key: unknown, of a wrong type, a `_BASE_` that is not known
 */
export function parseConfig(text: string, where: string, overrides: readonly string[] = []): LoadedConfig {
  const loaded: LoadedConfig = { config: defaultConfig(), warnings: [] };
  mergeConfigText({ text, where }, loaded, [], () => ({ lookedFor: "Detectron2's own files" }));
  applyOverrides(loaded.config, overrides, loaded.warnings);
  return loaded;
}

/** Lays a YAML text with its bases over a configuration, in place. */
export function mergeConfigText(
  { text, where }: ConfigText,
  into: LoadedConfig,
  includedFrom: readonly string[],
  readBase: BaseReader,
): void {
  if (includedFrom.includes(where)) throw new ConfigError(`_BASE_ goes in a circle: ${[...includedFrom, where].join(' -> ')}`);
  const raw = readYaml(text, where);
  if (raw === null || raw === undefined) return;
  if (typeof raw !== 'object' || Array.isArray(raw)) throw new ConfigError(`${where}: a configuration is a mapping of keys`);
  const { _BASE_: base, ...keys } = raw as Record<string, unknown>;
  for (const name of baseNames(base, where)) mergeBase(name, into, [...includedFrom, where], readBase);
  if (keys.VERSION !== undefined && keys.VERSION !== 2)
    throw new ConfigError(`${where}: VERSION must be 2, got ${String(keys.VERSION)}; let Detectron2 upgrade the file first`);
  mergeInto(into.config, keys, where, into.warnings);
}

function baseNames(base: unknown, where: string): string[] {
  if (base === undefined) return [];
  const names = Array.isArray(base) ? base : [base];
  if (names.length === 0 || !names.every((name) => typeof name === 'string' && name !== ''))
    throw new ConfigError(`${where}: _BASE_ must be a file name or a list of them, got ${JSON.stringify(base)}`);
  return names as string[];
}

function mergeBase(name: string, into: LoadedConfig, chain: readonly string[], readBase: BaseReader): void {
  const file = readBase(name, chain);
  if ('text' in file) return mergeConfigText(file, into, chain, readBase);
  const builtIn = name.replace(/^(\.\.?\/)+/, '').replace(/\.ya?ml$/, '');
  const found = Object.keys(publishedConfigs).find(
    (known) => known === builtIn || (!builtIn.includes('/') && known.endsWith(`/${builtIn}`)),
  );
  if (!found)
    throw new ConfigError(`${chain.at(-1)}: _BASE_ ${JSON.stringify(name)} is not there (looked for ${file.lookedFor})`);
  mergePublished(into.config, found);
}
