import type { Config } from './schema.js';
import { mergeInto } from './merge.js';
import { publishedConfigs } from './published.js';

/** Lays a published configuration, its bases first, over another, in place. The name must be in the table. */
export function mergePublished(config: Config, name: string): void {
  const { base, keys } = publishedConfigs[name];
  if (base) mergePublished(config, base);
  // Its keys without effect here (names of data sets) are Detectron2's own choice: nobody needs to hear of them.
  mergeInto(config, keys, name, []);
}
