import type { LoadedConfig } from './config_text.js';
import { defaultConfig } from './merge.js';
import { mergePublished } from './merge_published.js';
import { applyOverrides } from './overrides.js';

/**
 * A configuration of the built-in table, with overrides on top.
 * @param name as in the table (`publishedName` finds it)
 * @throws ConfigError on an override that is none
 */
export function publishedConfig(name: string, overrides: readonly string[] = []): LoadedConfig {
  const loaded: LoadedConfig = { config: defaultConfig(), warnings: [] };
  mergePublished(loaded.config, name);
  applyOverrides(loaded.config, overrides, loaded.warnings);
  return loaded;
}
