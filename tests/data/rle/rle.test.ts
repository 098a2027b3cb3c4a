import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from '../../properties.js';
import { describe, expect, it } from 'vitest';
import { decodeRle, encodeRle, rleArea, rleFromString, rleToBox, rleToString } from '../../../src/data/rle/rle.js';
import { ArgumentError } from '../../../src/errors.js';
import { goldenFolder } from '../../golden_folder.js';

const folder = goldenFolder();

/** Expands runs of the row-major flattening, first run zeros. */
function expand(runs: number[]): Uint8Array {
  const out = new Uint8Array(runs.reduce((a, b) => a + b, 0));
  let p = 0;
  runs.forEach((n, i) => {
    out.fill(i % 2, p, p + n);
    p += n;
  });
  return out;
}

function transpose(rows: Uint8Array, height: number, width: number): Uint8Array {
  const out = new Uint8Array(rows.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[x * height + y] = rows[y * width + x]!;
  return out;
}

const bitmaps = fc
  .record({ height: fc.integer({ min: 1, max: 40 }), width: fc.integer({ min: 1, max: 40 }) })
  .chain(({ height, width }) =>
    fc.record({
      height: fc.constant(height),
      width: fc.constant(width),
      bitmap: fc.oneof(
        fc.uint8Array({ minLength: height * width, maxLength: height * width, max: 1 }),
        // Long runs, as real masks have.
        fc.array(fc.nat(), { maxLength: 12 }).map((ends) => {
          const out = new Uint8Array(height * width);
          for (const end of ends) for (let i = end % out.length; i < out.length; i++) out[i]! ^= 1;
          return out;
        }),
      ),
    }),
  );

describe('RLE', () => {
  it('encodes by columns, zeros first', () => {
    // 0 1 1
    // 0 0 1
    const rle = encodeRle(Uint8Array.of(0, 1, 1, 0, 0, 1), 2, 3, 'row');
    expect([...rle.counts]).toEqual([2, 1, 1, 2]);
    expect(encodeRle(Uint8Array.of(0, 0, 1, 0, 1, 1), 2, 3, 'column')).toEqual(rle);
    expect(rleToString(rle)).toBe('211' + '1');
    expect(rleArea(rle)).toBe(3);
    expect(rleToBox(rle)).toEqual([1, 0, 2, 2]);
    expect(encodeRle(Uint8Array.of(1, 1), 2, 1, 'row').counts).toEqual(Uint32Array.of(0, 2));
  });

  it('treats every value but 0 as foreground', () => {
    expect([...encodeRle(Uint8Array.of(1, 255, 7, 0), 4, 1, 'row').counts]).toEqual([0, 3, 1]);
    expect([...encodeRle(Uint8Array.of(1, 255, 7, 0), 4, 1, 'column').counts]).toEqual([0, 3, 1]);
  });

  it('refuses what is not a mask', () => {
    expect(() => encodeRle(new Uint8Array(5), 2, 3, 'row')).toThrow(ArgumentError);
    expect(() => decodeRle({ size: [2, 3], counts: Uint32Array.of(2, 1) })).toThrow(/sum to 3/);
    expect(() => rleFromString('S', [7, 5])).toThrow(/truncated/);
    expect(() => rleFromString('1 2', [7, 5])).toThrow(/foreign character at position 1/);
    expect(() => rleFromString('S1', [7, 6])).toThrow(/sum to 35/);
    expect(() => rleFromString('ooooooooooo', [7, 6])).toThrow(ArgumentError);
    expect(() => rleFromString('1', [-1, 6])).toThrow(ArgumentError);
  });

  it('keeps runs above 2^31', () => {
    const rle = { size: [2 ** 16, 2 ** 16 - 1] as [number, number], counts: Uint32Array.of(1, 2, 3, 2 ** 32 - 2 ** 16 - 7, 1) };
    expect(rleFromString(rleToString(rle), rle.size)).toEqual(rle);
  });

  it('round-trips any bitmap in both orders and through the string', () => {
    fc.assert(
      fc.property(bitmaps, ({ height, width, bitmap }) => {
        const rle = encodeRle(bitmap, height, width, 'row');
        expect(decodeRle(rle)).toEqual(bitmap);
        expect(encodeRle(transpose(bitmap, height, width), height, width, 'column')).toEqual(rle);
        expect(rleFromString(rleToString(rle), rle.size)).toEqual(rle);
        expect(rleArea(rle)).toBe(bitmap.reduce((a, b) => a + b, 0));
      }),
      { numRuns: 300 },
    );
  });

  it('reads any string to a mask or an ArgumentError', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 30 }), fc.nat(50), fc.nat(50), (text, height, width) => {
        try {
          const rle = rleFromString(text, [height, width]);
          expect(decodeRle(rle).length).toBe(height * width);
        } catch (error) {
          expect(error).toBeInstanceOf(ArgumentError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it.skipIf(!folder)('equals the golden masks', () => {
    const { masks } = JSON.parse(readFileSync(join(folder!, 'data/rle/masks.json'), 'utf8')) as { masks: Golden[] };
    expect(masks.length).toBeGreaterThan(0);
    for (const m of masks) {
      const bitmap = expand(m.row_major_runs);
      const rle = encodeRle(bitmap, ...m.size, 'row');
      expect([...rle.counts], m.name).toEqual(m.counts_uncompressed);
      expect(encodeRle(transpose(bitmap, ...m.size), ...m.size, 'column'), m.name).toEqual(rle);
      expect(rleToString(rle), m.name).toBe(m.counts);
      const read = rleFromString(m.counts, m.size);
      expect(read, m.name).toEqual(rle);
      expect(Buffer.compare(decodeRle(read), bitmap), m.name).toBe(0);
      expect(rleArea(rle), m.name).toBe(m.area);
      expect(rleToBox(rle), m.name).toEqual(m.bbox);
    }
  });

  it.skipIf(!folder)('equals the golden masks with empty runs', () => {
    const { cases } = JSON.parse(readFileSync(join(folder!, 'data/rle/noncanonical.json'), 'utf8')) as { cases: Golden[] };
    for (const c of cases) {
      const rle = { size: c.size, counts: Uint32Array.from(c.counts_uncompressed) };
      expect(rleToString(rle)).toBe(c.counts);
      expect(rleFromString(c.counts, c.size)).toEqual(rle);
      expect(rleArea(rle)).toBe(c.area);
      expect(rleToBox(rle)).toEqual(c.bbox);
      expect(decodeRle(rle)).toEqual(expand(c.row_major_runs));
      expect(rleToString(encodeRle(decodeRle(rle), ...c.size, 'row'))).toBe(c.reencoded_counts);
    }
  });
});

interface Golden {
  name: string;
  size: [number, number];
  row_major_runs: number[];
  counts_uncompressed: number[];
  counts: string;
  reencoded_counts: string;
  area: number;
  bbox: number[];
}
