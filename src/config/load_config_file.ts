import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../errors.js';
import type { Config } from './schema.js';
import { defaultConfig, mergeInto } from './merge.js';
import { mergePublished } from './merge_published.js';
import { publishedConfigs } from './published.js';
import { readYaml } from './read_yaml.js';

/** A configuration and what the reader should be told once about it. */
export interface LoadedConfig {
  config: Config;
  /** A line for each key that is set but has no effect here. */
  warnings: string[];
}

/**
 * Reads Detectron2's YAML with its `_BASE_` files over the defaults.
 * A `_BASE_` that is not on the disk but bears the name of one of Detectron2's own files (`../Base-RCNN-FPN.yaml`) is the built-in one.
 * @throws ConfigError naming the file and the key: unreadable file, unknown key, wrong type, a circle of `_BASE_`
 */
export function loadConfigFile(path: string): LoadedConfig {
  const loaded: LoadedConfig = { config: defaultConfig(), warnings: [] };
  mergeFile(resolve(path), loaded, []);
  return loaded;
}

function mergeFile(path: string, into: LoadedConfig, includedFrom: string[]): void {
  if (includedFrom.includes(path)) throw new ConfigError(`_BASE_ goes in a circle: ${[...includedFrom, path].join(' -> ')}`);
  const raw = readYaml(readText(path, includedFrom.at(-1)), path);
  if (raw === null || raw === undefined) return;
  if (typeof raw !== 'object' || Array.isArray(raw)) throw new ConfigError(`${path}: a configuration is a mapping of keys`);
  const { _BASE_: base, ...keys } = raw as Record<string, unknown>;
  for (const name of baseNames(base, path)) mergeBase(name, path, into, [...includedFrom, path]);
  if (keys.VERSION !== undefined && keys.VERSION !== 2)
    throw new ConfigError(`${path}: VERSION must be 2, got ${String(keys.VERSION)}; let Detectron2 upgrade the file first`);
  mergeInto(into.config, keys, path, into.warnings);
}

function baseNames(base: unknown, path: string): string[] {
  if (base === undefined) return [];
  const names = Array.isArray(base) ? base : [base];
  if (names.length === 0 || !names.every((name) => typeof name === 'string' && name !== ''))
    throw new ConfigError(`${path}: _BASE_ must be a file name or a list of them, got ${JSON.stringify(base)}`);
  return names as string[];
}

function mergeBase(name: string, path: string, into: LoadedConfig, includedFrom: string[]): void {
  const base = resolve(dirname(path), name.startsWith('~/') ? homedir() + name.slice(1) : name);
  if (existsSync(base)) return mergeFile(base, into, includedFrom);
  const builtIn = name.replace(/^(\.\.?\/)+/, '').replace(/\.ya?ml$/, '');
  const found = Object.keys(publishedConfigs).find(
    (known) => known === builtIn || (!builtIn.includes('/') && known.endsWith(`/${builtIn}`)),
  );
  if (!found) throw new ConfigError(`${path}: _BASE_ ${JSON.stringify(name)} is not there (looked for ${base})`);
  mergePublished(into.config, found);
}

function readText(path: string, includedFrom?: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const from = includedFrom ? ` (_BASE_ of ${includedFrom})` : '';
    throw new ConfigError(
      `${path}: the configuration file${from} cannot be read: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      {
        cause,
      },
    );
  }
}
