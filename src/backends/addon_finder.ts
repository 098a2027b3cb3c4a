import { createRequire } from 'node:module';

/** What tfjs-node uses to find its addon: a package that also builds and publishes, with sixty files to load. */
const FINDER = '@mapbox/node-pre-gyp';

/**
 * Runs `load` while `require('@mapbox/node-pre-gyp')`, as tfjs-node calls it, answers at once with the addon that is known already.
 *
 * @param from  a file in tfjs-node's folder
 * @param addon the addon's file
 */
export function withKnownAddon<T>(from: string, addon: string, load: () => T): T {
  const require = createRequire(from);
  let id: string;
  try {
    id = require.resolve(FINDER);
  } catch {
    return load();
  }
  if (require.cache[id]) return load();
  require.cache[id] = {
    id,
    filename: id,
    loaded: true,
    exports: { find: () => addon },
    children: [],
    paths: [],
  } as unknown as NodeModule;
  try {
    return load();
  } finally {
    Reflect.deleteProperty(require.cache, id);
  }
}
