import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../errors.js';
import { type ConfigText, type LoadedConfig, mergeConfigText } from './config_text.js';
import { defaultConfig } from './merge.js';

export type { LoadedConfig } from './config_text.js';

/**
 * Reads Detectron2's YAML with its `_BASE_` files over the defaults.
 * A `_BASE_` that is not on the disk but bears the name of one of Detectron2's own files (`../Base-RCNN-FPN.yaml`) is the built-in one.
 * @throws ConfigError naming the file and the key: unreadable file, unknown key, wrong type, a circle of `_BASE_`
 */
export function loadConfigFile(path: string): LoadedConfig {
  const loaded: LoadedConfig = { config: defaultConfig(), warnings: [] };
  mergeConfigText(readText(resolve(path)), loaded, [], (name, chain) => {
    const from = chain.at(-1)!;
    const base = resolve(dirname(from), name.startsWith('~/') ? homedir() + name.slice(1) : name);
    return existsSync(base) ? readText(base, from) : { lookedFor: base };
  });
  return loaded;
}

function readText(path: string, includedFrom?: string): ConfigText {
  try {
    return { text: readFileSync(path, 'utf8'), where: path };
  } catch (cause) {
    const from = includedFrom ? ` (_BASE_ of ${includedFrom})` : '';
    throw new ConfigError(
      `${path}: the configuration file${from} cannot be read: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      { cause },
    );
  }
}
