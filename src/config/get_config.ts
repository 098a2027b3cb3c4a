import { existsSync } from 'node:fs';
import { ZooError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import { loadConfigFile, type LoadedConfig } from './load_config_file.js';
import { defaultConfig } from './merge.js';
import { applyOverrides } from './overrides.js';
import { publishedConfigNames, publishedName } from './published.js';
import { publishedConfig } from './published_config.js';
import type { Config } from './schema.js';

/**
 * The configuration of a published model, of a YAML file, or the defaults, with overrides on top.
 * @param source a name such as `COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x` (with or without `.yaml`) or a path
 * @param overrides `KEY=VALUE`, applied in order
 * @throws ZooError on an unknown name; ConfigError on a bad file, key or value
 */
export function getConfig(source?: string, overrides: readonly string[] = []): Config {
  return resolveConfig(source, overrides).config;
}

/** As getConfig, with the lines about keys that have no effect. */
export function resolveConfig(source?: string, overrides: readonly string[] = []): LoadedConfig {
  const loaded = load(source);
  applyOverrides(loaded.config, overrides, loaded.warnings);
  return loaded;
}

function load(source: string | undefined): LoadedConfig {
  if (source === undefined) return { config: defaultConfig(), warnings: [] };
  const name = publishedName(source);
  if (name !== undefined && !existsSync(source)) return publishedConfig(name);
  if (/\.ya?ml$/i.test(source) || existsSync(source)) return loadConfigFile(source);
  throw new ZooError(
    `${JSON.stringify(source)} is neither a published model nor a file; did you mean ${nearestNames(source, publishedConfigNames()).join(', ')}?`,
  );
}
