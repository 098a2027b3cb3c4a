import { expect, it } from 'vitest';
import { pasteMask } from '../../../src/ops/mask_paste/mask_paste.js';
import { padMask } from '../../../src/ops/mask_paste/torchvision.js';

it('torchvision pastes into whole pixels, the last one included, with a border of zeros', () => {
  // M = 2: the box grows to twice its size about its centre, (4, 6)-(12, 10) to (0, 4)-(16, 12), and its last pixel counts.
  const { probabilities, box } = padMask(Float32Array.of(1, 1, 1, 1), [4, 6, 12, 10]);
  expect(box).toEqual([0, 4, 17, 13]);
  expect([...probabilities]).toEqual([0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
  const { bitmap, x0, x1 } = pasteMask(probabilities, 4, box, 20, 20);
  // By hand: columns at (x + 0.5) / 17 * 4 - 0.5 between 0.5 and 2.5 are at least one half: x from 4 to 12.
  const row = bitmap.subarray((8 - 3) * (x1 - x0), (8 - 3) * (x1 - x0) + (x1 - x0));
  expect(Array.from(row, (on, i) => (on ? x0 + i : -1)).filter((x) => x >= 0)).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12]);
});

it('a box of no area still has a pixel, and corners are cut towards zero', () => {
  expect(padMask(new Float32Array(4), [5.5, 5.5, 5.5, 5.5]).box).toEqual([5, 5, 6, 6]);
  expect(padMask(new Float32Array(4), [-1, 0, 2, 2]).box).toEqual([-2, -1, 4, 4]);
});
