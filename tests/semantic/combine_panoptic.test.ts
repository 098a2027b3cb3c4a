import { describe, expect, it } from 'vitest';
import { combinePanoptic } from '../../src/semantic/combine_panoptic.js';

const options = { overlapThreshold: 0.5, stuffAreaLimit: 2, scoreThreshold: 0.5 };
const thing = (score: number, categoryId: number, bits: string) => ({
  score,
  categoryId,
  bitmap: () => Uint8Array.from([...bits].map(Number)),
});

describe('combinePanoptic', () => {
  it('lays things by score, drops what is mostly covered, and fills with stuff', () => {
    const things = [
      thing(0.6, 7, '011100'), // two of three pixels lie under the next one: dropped
      thing(0.9, 3, '111000'),
      thing(0.7, 5, '001110'), // one of three: keeps the two that are free
      thing(0.4, 1, '000001'), // scores too little
    ];
    const semantic = Int32Array.of(0, 0, 0, 2, 2, 2);
    const { ids, segments } = combinePanoptic(things, semantic, 1, 6, { ...options, stuffAreaLimit: 1 });
    expect([...ids]).toEqual([1, 1, 1, 2, 2, 3]);
    expect(segments).toEqual([
      { id: 1, isThing: true, categoryId: 3, area: 3, score: 0.9, instanceIndex: 1 },
      { id: 2, isThing: true, categoryId: 5, area: 2, score: 0.7, instanceIndex: 2 },
      { id: 3, isThing: false, categoryId: 2, area: 1 },
    ]);
  });

  it('leaves out small stuff, and what the semantic branch calls a thing', () => {
    const { ids, segments } = combinePanoptic([], Int32Array.of(0, 0, 4, 1, 1, 1), 2, 3, options);
    expect([...ids]).toEqual([0, 0, 0, 1, 1, 1]);
    expect(segments).toEqual([{ id: 1, isThing: false, categoryId: 1, area: 3 }]);
  });
});
