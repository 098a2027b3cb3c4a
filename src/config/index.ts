export { getConfig, publishedName, resolveConfig } from './get_config.js';
export { loadConfigFile, type LoadedConfig } from './load_config_file.js';
export { dumpConfig } from './dump_config.js';
export { explainKey, type KeyExplanation } from './explain_key.js';
export { unsupportedSettings } from './unsupported.js';
export { applyOverrides } from './overrides.js';
export { defaultConfig } from './merge.js';
export { publishedConfigNames } from './published.js';
export type { Config, PartialConfig } from './schema.js';
