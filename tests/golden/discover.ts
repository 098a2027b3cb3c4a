import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export type Found =
  { kind: 'ops'; path: string; op: string } | { kind: 'model'; path: string } | { kind: 'data'; path: string; format: string };

/** The files that mark a folder of a data format (see the goldens' data README); the first one that exists names the format. */
const DATA_MARKS: Record<string, string[]> = {
  resize: ['cases.json', 'resize.safetensors'],
  image_io: ['manifest.json', 'expected.safetensors'],
  rle: ['masks.json', 'polygons.json'],
  cocoeval: ['expected.json', 'gt_instances.json'],
  panoptic: ['expected.json', 'gt.json', 'pred.json'],
  semseg: ['expected.json', 'gt', 'pred'],
  transforms: ['geometric.json'],
  coco_json: ['expected.json', 'instances.json'],
  solver: ['lr_schedules.json'],
};

/** Every golden case under the folders, in the order of names: what a file is follows from its form, never from its name. */
export function discover(folders: string[]): Found[] {
  const found: Found[] = [];
  for (const folder of folders) {
    if (!existsSync(folder)) throw new Error(`no such folder: ${folder}`);
    if (statSync(folder).isDirectory()) walk(folder, found);
    else found.push(...opsFile(folder));
  }
  return found;
}

function walk(folder: string, found: Found[]): void {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (existsSync(join(folder, 'golden.json')) && existsSync(join(folder, 'config.yaml'))) {
    found.push({ kind: 'model', path: folder });
    return;
  }
  const format = dataFormat(folder);
  if (format) {
    found.push({ kind: 'data', path: folder, format });
    return;
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) walk(path, found);
    else if (entry.name.endsWith('.json')) found.push(...opsFile(path));
  }
}

function dataFormat(folder: string): string | undefined {
  const complete = (marks: string[]): boolean => marks.every((mark) => existsSync(join(folder, mark)));
  const named = DATA_MARKS[basename(folder)];
  if (named && (complete(named) || existsSync(join(folder, named[0]!)))) return basename(folder);
  return Object.keys(DATA_MARKS).find((format) => complete(DATA_MARKS[format]!));
}

function opsFile(path: string): Found[] {
  if (!path.endsWith('.json')) return [];
  // Only the head is parsed twice: these files are small.
  const json: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (json === null || typeof json !== 'object' || !('op' in json) || !('cases' in json) || typeof json.op !== 'string')
    return [];
  return [{ kind: 'ops', path, op: json.op }];
}

/** `folder/name` of a path, enough to tell cases apart in the output. */
export const shortName = (path: string): string => `${basename(dirname(path))}/${basename(path).replace(/\.json$/, '')}`;
