import { describe, expect, it } from 'vitest';
import { postprocess } from '../../src/meta_arch/postprocess.js';

const found = (boxes: number[]) => ({
  boxes: Float32Array.from(boxes),
  scores: Float32Array.from({ length: boxes.length / 4 }, (_, i) => 1 - i / 8),
  classes: new Int32Array(boxes.length / 4),
  rows: new Int32Array(boxes.length / 4),
  masks: undefined,
});

describe('postprocess', () => {
  it("scales, clips and drops what is empty, as Detectron2's", () => {
    const { boxes, scores } = postprocess(found([1, 2, 3, 4, -5, 0, 200, 9, 120, 1, 130, 2]), [50, 100], [100, 300]);
    expect([...boxes]).toEqual([3, 4, 9, 8, 0, 0, 300, 18]);
    expect([...scores]).toEqual([1, 0.875]);
  });

  it("moves the middles of the first and the last pixels to each other and takes whole pixels, as Matterport's", () => {
    // 101 pixels to 201: from one middle to the next it is twice as far. A half goes to the even number.
    const input = [0, 0, 101, 101, 10, 10.25, 20.25, 20.75, 7.3, 7, 7.4, 8.4];
    const { boxes, scores } = postprocess(found(input), [101, 101], [201, 201], 'matterport');
    expect([...boxes]).toEqual([0, 0, 201, 201, 20, 20, 40, 40]);
    expect([...scores]).toEqual([1, 0.875]);
  });
});
