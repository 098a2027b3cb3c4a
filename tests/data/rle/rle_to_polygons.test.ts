import fc from '../../properties.js';
import { describe, expect, it } from 'vitest';
import { polygonsToRle } from '../../../src/data/rle/polygon_to_rle.js';
import { encodeRle, rleArea, rleToString } from '../../../src/data/rle/rle.js';
import { rleIou } from '../../../src/data/rle/rle_iou.js';
import { rleToCocoPolygons, rleToPolygons } from '../../../src/data/rle/rle_to_polygons.js';
import { ArgumentError } from '../../../src/errors.js';

const mask = (rows: string[]) =>
  encodeRle(
    Uint8Array.from(rows.join(''), (c) => (c === '#' ? 1 : 0)),
    rows.length,
    rows[0]!.length,
    'row',
  );

describe('rleToPolygons', () => {
  it('follows pixel edges', () => {
    expect(rleToPolygons(mask(['....', '.##.', '.##.']))).toEqual([{ outer: [1, 1, 3, 1, 3, 3, 1, 3], holes: [] }]);
    expect(rleToPolygons(mask(['...', '...']))).toEqual([]);
  });

  it('gives a ring one hole, and its island a polygon of its own', () => {
    const pieces = rleToPolygons(mask(['#####', '#...#', '#.#.#', '#...#', '#####']));
    expect(pieces).toHaveLength(2);
    expect(pieces[0]!.outer).toEqual([0, 0, 5, 0, 5, 5, 0, 5]);
    expect(pieces[0]!.holes).toHaveLength(1);
    expect(pieces[1]).toEqual({ outer: [2, 2, 3, 2, 3, 3, 2, 3], holes: [] });
  });

  it('gives a pixel that touches others at its corners only a polygon of its own', () => {
    const pieces = rleToPolygons(mask(['.###.', '##.##', '#.#.#', '#...#', '#####']));
    expect(pieces).toHaveLength(2);
    expect(pieces[1]).toEqual({ outer: [2, 2, 3, 2, 3, 3, 2, 3], holes: [] });
    expect(pieces[0]!.holes).toHaveLength(1);
  });

  it('rasterises back exactly, holes and corners that touch included', () => {
    const bitmap = fc
      .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }))
      .chain(([h, w]) => fc.array(fc.constantFrom(0, 1), { minLength: h * w, maxLength: h * w }).map((bits) => ({ h, w, bits })));
    fc.assert(
      fc.property(bitmap, ({ h, w, bits }) => {
        const rle = encodeRle(Uint8Array.from(bits), h, w, 'row');
        const back = polygonsToRle(rleToCocoPolygons(rle), h, w);
        expect(rleToString(back)).toBe(rleToString(rle));
      }),
      { numRuns: 300 },
    );
  });

  it('thins a disc with a hole to a few corners at an IoU above 0.97', () => {
    const side = 200;
    const bitmap = Uint8Array.from({ length: side * side }, (_, i) => {
      const r = Math.hypot((i % side) - 99.5, Math.floor(i / side) - 99.5);
      return r < 80 && r > 30 ? 1 : 0;
    });
    const rle = encodeRle(bitmap, side, side, 'row');
    const exact = rleToCocoPolygons(rle);
    const thinned = rleToCocoPolygons(rle, { tolerance: 1 });
    expect(thinned[0]!.length).toBeLessThan(exact[0]!.length / 4);
    const back = polygonsToRle(thinned, side, side);
    expect(rleIou([back], [rle])[0]).toBeGreaterThan(0.97);
    expect(Math.abs(rleArea(back) / rleArea(rle) - 1)).toBeLessThan(0.02);
  });

  it('refuses a negative tolerance and runs that do not fit', () => {
    expect(() => rleToPolygons(mask(['#']), { tolerance: -1 })).toThrow(ArgumentError);
    expect(() => rleToPolygons({ size: [2, 2], counts: Uint32Array.of(1, 1) })).toThrow(ArgumentError);
  });
});
