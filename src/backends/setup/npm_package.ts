import { existsSync } from 'node:fs';
import { join, sep } from 'node:path';
import { BackendError } from '../../errors.js';
import { corePathFrom } from '../core_copies.js';
import { findNativePackages, type NativePackage } from '../native_package.js';
import type { NativeRecipe } from './recipe.js';
import { lastLines, runCommand } from './run_command.js';

/** The project whose `node_modules` holds our tfjs-core: a native package has to lie beside it to use the same one. */
export function projectFolder(): string {
  const core = corePathFrom(import.meta.url);
  if (core === undefined) throw new BackendError('@tensorflow/tfjs-core is not installed. Run `npm install` first.');
  const at = core.lastIndexOf(`${sep}node_modules${sep}`);
  if (at < 0 || core.includes(`${sep}.pnpm${sep}`)) {
    throw new BackendError(
      `${core} was not laid out by npm: install @tensorflow/tfjs-node@4.22.0 with your package manager, without its install script, then run \`npx maskrcnn setup\` again.`,
    );
  }
  return core.slice(0, at);
}

/**
 * Installs the npm package without its install script, unless it is there. Neither package.json nor the lock file changes, so a later `npm install`
 * may remove it again; set-up then needs seconds, the rest is in the cache.
 */
export async function installPackage(recipe: NativeRecipe, project: string): Promise<NativePackage> {
  const find = () =>
    findNativePackages().find((p) => p.name === recipe.package && p.folder.startsWith(join(project, 'node_modules')));
  const present = find();
  if (present) return present;
  if (!existsSync(join(project, 'package.json')))
    throw new BackendError(`${project} has no package.json. Run \`npm init -y\` there first.`);
  const { code, output } = await runCommand(
    'npm',
    // --save-prod: as the optional peer that it is, npm would leave it out.
    [
      'install',
      '--no-save',
      '--save-prod',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      `${recipe.package}@${recipe.packageVersion}`,
    ],
    { cwd: project },
  );
  const installed = find();
  if (code !== 0 || !installed)
    throw new BackendError(
      `npm could not install ${recipe.package}@${recipe.packageVersion} in ${project}: ${lastLines(output)}`,
    );
  return installed;
}
