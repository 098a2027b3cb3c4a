import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../src', import.meta.url));

/** Everything that a file imports when it is loaded (not what it imports later, when asked), types left out. */
function staticImports(file: string, seen = new Map<string, string[]>()): Map<string, string[]> {
  if (seen.has(file)) return seen;
  const text = readFileSync(file, 'utf8');
  const names = [...text.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm)].map((m) => m[1]!);
  seen.set(
    file,
    names.filter((n) => !n.startsWith('.')),
  );
  for (const name of names) if (name.startsWith('.')) staticImports(join(dirname(file), name.replace(/\.js$/, '.ts')), seen);
  return seen;
}

describe('the parts that run anywhere', () => {
  it.each([
    'evaluation/index.ts',
    'data/portable.ts',
    'data/coco/index.ts',
    'data/rle/index.ts',
    'data/dataset/index.ts',
    'data/image_io/read_image.ts',
  ])('%s loads neither Node modules nor packages', (entry) => {
    const foreign = [...staticImports(join(root, entry))].flatMap(([file, names]) =>
      names.map((n) => `${relative(root, file)}: ${n}`),
    );
    expect(foreign).toEqual([]);
  });
});
