import { homedir, platform } from 'node:os';
import { join } from 'node:path';

/** Where downloads are kept: MASKRCNN_CACHE, or the system's folder for caches. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.MASKRCNN_CACHE) return env.MASKRCNN_CACHE;
  if (platform() === 'darwin') return join(homedir(), 'Library', 'Caches', 'maskrcnn-ts');
  if (platform() === 'win32') return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'maskrcnn-ts', 'Cache');
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'maskrcnn-ts');
}
