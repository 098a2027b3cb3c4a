import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { withKnownAddon } from '../../src/backends/addon_finder.js';

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true })));

function packageFolder(withFinder: boolean): string {
  const folder = mkdtempSync(join(tmpdir(), 'maskrcnn-finder-'));
  folders.push(folder);
  const finder = join(folder, 'node_modules/@mapbox/node-pre-gyp');
  if (withFinder) {
    mkdirSync(finder, { recursive: true });
    writeFileSync(join(finder, 'index.js'), "exports.find = () => 'found the long way';");
  }
  writeFileSync(join(folder, 'index.js'), "exports.addon = require('@mapbox/node-pre-gyp').find('package.json');");
  return folder;
}

it('answers with the known addon while loading, and leaves the package as it was', () => {
  const folder = packageFolder(true);
  const from = join(folder, 'package.json');
  const require = createRequire(from);
  const loaded = withKnownAddon(from, '/some/tfjs_binding.node', () => require('./index.js') as { addon: string });
  expect(loaded.addon).toBe('/some/tfjs_binding.node');
  const finder = require('@mapbox/node-pre-gyp') as { find(): string };
  expect(finder.find()).toBe('found the long way');
  expect(withKnownAddon(from, 'elsewhere', () => (require('@mapbox/node-pre-gyp') as { find(): string }).find())).toBe(
    'found the long way',
  );
});

it('loads as it is where the finder is not installed, and cleans up after an error', () => {
  const without = join(packageFolder(false), 'package.json');
  expect(withKnownAddon(without, 'x', () => 5)).toBe(5);
  const folder = packageFolder(true);
  const from = join(folder, 'package.json');
  const fail = (): never => {
    throw new Error('no library');
  };
  expect(() => withKnownAddon(from, 'x', fail)).toThrow('no library');
  expect((createRequire(from)('@mapbox/node-pre-gyp') as { find(): string }).find()).toBe('found the long way');
});
