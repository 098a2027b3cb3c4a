import { describe, expect, it } from 'vitest';
import { panopticAnnotation, panopticCategories } from '../../../src/data/coco/panoptic_results.js';

describe('panoptic results', () => {
  it('numbers things from 1 by class and stuff behind them; semantic class 0 has no category', () => {
    const { categories, ids } = panopticCategories(['cat', 'dog'], ['things', 'sky', 'grass']);
    expect(categories).toEqual([
      { id: 1, name: 'cat', isthing: 1 },
      { id: 2, name: 'dog', isthing: 1 },
      { id: 3, name: 'sky', isthing: 0 },
      { id: 4, name: 'grass', isthing: 0 },
    ]);
    expect(ids).toEqual({ things: [1, 2], stuff: [undefined, 3, 4] });
  });

  it('gives boxes of whole pixels, and no pixels to segments without a category', () => {
    const map = {
      height: 2,
      width: 4,
      ids: Int32Array.of(0, 1, 1, 2, 3, 3, 1, 2),
      segments: [
        { id: 1, isThing: true, categoryId: 0, area: 3, score: 0.75, instanceIndex: 0 },
        { id: 2, isThing: true, categoryId: 1, area: 2, score: 0.5, instanceIndex: 1 },
        { id: 3, isThing: false, categoryId: 2, area: 2 },
      ],
    };
    const { annotation, pixels } = panopticAnnotation(map, 9, 'a.png', { things: [70, undefined], stuff: [undefined, 80, 90] });
    expect(annotation).toEqual({
      image_id: 9,
      file_name: 'a.png',
      segments_info: [
        { id: 1, category_id: 70, area: 3, bbox: [1, 0, 2, 2], iscrowd: 0, score: 0.75 },
        { id: 3, category_id: 90, area: 2, bbox: [0, 1, 2, 1], iscrowd: 0 },
      ],
    });
    expect([...pixels]).toEqual([0, 1, 1, 0, 3, 3, 1, 0]);
  });
});
