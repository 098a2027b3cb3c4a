import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import type { NativePackage } from '../native_package.js';
import { lastLines, runCommand } from './run_command.js';

/** Long enough for a slow line, short enough for a blocked one. */
const REACH_MS = 10_000;

/** The address of the package's own prebuilt addon, as its package.json and its script make it. */
export function prebuiltAddress(
  native: Pick<NativePackage, 'name' | 'version' | 'folder' | 'addon'>,
  platform = process.platform,
): string {
  const { binary } = JSON.parse(readFileSync(join(native.folder, 'package.json'), 'utf8')) as {
    binary: { host: string; remote_path: string };
  };
  const napi = /napi-v(\d+)/.exec(native.addon)?.[1] ?? '8';
  const system = platform === 'win32' ? 'windows' : platform;
  const file = `${native.name.endsWith('-gpu') ? 'GPU' : 'CPU'}-${system}-${native.version}.${platform === 'win32' ? 'zip' : 'tar.gz'}`;
  return `${binary.host}/${binary.remote_path.replace('./', '').replace('{napi_build_version}', napi).replace('{version}', native.version)}${file}`;
}

/** Asks for an address' headers. @returns undefined when it is there, else the reason. */
export async function unreachable(address: string, timeoutMs = REACH_MS): Promise<string | undefined> {
  const host = new URL(address).host;
  try {
    const response = await fetch(address, { method: 'HEAD', signal: AbortSignal.timeout(timeoutMs) });
    return response.ok ? undefined : `${host} answers ${response.status}`;
  } catch (error) {
    const { name, cause } = error as { name: string; cause?: { code?: string; message?: string } };
    return name === 'TimeoutError'
      ? `${host} does not answer within ${timeoutMs / 1000} s`
      : `${host} cannot be reached (${cause?.code ?? cause?.message ?? name})`;
  }
}

/**
 * Lets tfjs-node's own script fetch its prebuilt archive.
 *
 * @returns undefined when it ended well, else the reason; nothing half-done is left then.
 */
export async function installPrebuilt(native: NativePackage, project: string): Promise<string | undefined> {
  const reason = await unreachable(prebuiltAddress(native));
  if (reason) return reason;
  const { code, output } = await runCommand(
    process.execPath,
    ['scripts/install.js', native.name.endsWith('-gpu') ? 'gpu' : 'cpu', 'download'],
    {
      cwd: native.folder,
      env: { PATH: `${join(project, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}` },
      timeoutMs: 30 * 60_000,
    },
  );
  if (code === 0) return undefined;
  for (const part of ['deps', 'build', dirname(native.addon)])
    await rm(part === 'deps' || part === 'build' ? join(native.folder, part) : part, { recursive: true, force: true });
  return `its install script failed: ${lastLines(output)}`;
}
