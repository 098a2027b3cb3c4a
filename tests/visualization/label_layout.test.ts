import fc from '../properties.js';
import { describe, expect, it } from 'vitest';
import { layoutLabels, overlapArea, type LabelRequest } from '../../src/visualization/label_layout.js';

const bounds = { width: 400, height: 300 };
const request = (x0: number, y0: number, x1: number, y1: number, width = 60, height = 16): LabelRequest => ({
  box: { x0, y0, x1, y1 },
  width,
  height,
});

describe('layoutLabels', () => {
  it('puts a lone label on top of its box, or inside where the box touches the top', () => {
    expect(layoutLabels([request(100, 100, 200, 200)], bounds)).toEqual([{ x0: 100, y0: 84, x1: 160, y1: 100 }]);
    const [inside] = layoutLabels([request(0, 0, 400, 300)], bounds);
    expect(inside).toEqual({ x0: 0, y0: 0, x1: 60, y1: 16 });
  });

  it('separates the labels of twelve boxes at one place', () => {
    const places = layoutLabels(
      Array.from({ length: 12 }, (_, i) => request(150 + i, 120 + i, 250 + i, 180 + i)),
      bounds,
    );
    for (let a = 0; a < 12; a++) for (let b = 0; b < a; b++) expect(overlapArea(places[a], places[b]), `${a} and ${b}`).toBe(0);
  });

  it('draws a leader line to the box where a label had to leave it', () => {
    const places = layoutLabels(
      Array.from({ length: 40 }, () => request(195, 145, 205, 155)),
      bounds,
    );
    const leaders = places.filter((p) => p.leader);
    expect(leaders.length).toBeGreaterThan(10);
    for (const { leader } of leaders) {
      expect(leader!.x1).toBeGreaterThanOrEqual(195);
      expect(leader!.x1).toBeLessThanOrEqual(205);
    }
  });

  it('keeps every label inside the picture and gives the same answer twice', () => {
    const box = fc.tuple(
      fc.integer({ min: -50, max: 400 }),
      fc.integer({ min: -50, max: 300 }),
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 0, max: 300 }),
    );
    fc.assert(
      fc.property(fc.array(box, { maxLength: 12 }), (boxes) => {
        const requests = boxes.map(([x, y, w, h]) => request(x, y, x + w, y + h));
        const places = layoutLabels(requests, bounds);
        expect(layoutLabels(requests, bounds)).toEqual(places);
        for (const p of places) expect(p.x0 >= 0 && p.y0 >= 0 && p.x1 <= bounds.width && p.y1 <= bounds.height).toBe(true);
      }),
      { numRuns: 50, seed: 1 },
    );
  });
});
