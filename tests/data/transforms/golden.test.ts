import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Line } from '../../golden/compare.js';
import { runResize } from '../../golden/data/resize.js';
import { runTransforms } from '../../golden/data/transforms/index.js';
import { goldenFolder } from '../../golden_folder.js';

const folder = goldenFolder();
describe.skipIf(!folder).each([
  ['data/transforms', runTransforms],
  ['data/resize', runResize],
] as const)('golden %s (skipped where the golden folder is absent)', (name, run) => {
  it('equals Detectron2', async () => {
    const lines: Line[] = [];
    await run(join(folder!, name), name, (line) => lines.push(line));
    expect(lines.length).toBeGreaterThan(50);
    expect(lines.filter((line) => line.ok !== true)).toEqual([]);
  });
});
