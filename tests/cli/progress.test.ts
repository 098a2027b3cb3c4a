import { describe, expect, it, vi } from 'vitest';
import { withProgress } from '../../src/cli/progress_bar.js';
import { counted } from '../../src/data/dataset/formats/read_files.js';

describe('progress', () => {
  it('is told after every item of a list', () => {
    const told: [number, number][] = [];
    expect([...counted(['a', 'b'], (done, total) => told.push([done, total]))]).toEqual(['a', 'b']);
    expect(told).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });

  it('is shown for work of over two seconds only, with a total that is told late', async () => {
    const written: string[] = [];
    const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => (written.push(String(text)), true));
    const now = vi.spyOn(Date, 'now').mockReturnValue(0);
    try {
      await withProgress('reading', 'files', undefined, (tick) => {
        tick(1, 4);
        now.mockReturnValue(2500);
        tick(2, 4);
      });
    } finally {
      write.mockRestore();
      now.mockRestore();
    }
    expect(written.join('')).toContain('reading');
    if (!process.stderr.isTTY) expect(written).toEqual(['reading: 2 of 4 files\n']);
  });
});
