import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawInstances } from '../../src/visualization/draw.js';
import { skeletonOf } from '../../src/visualization/skeleton.js';
import { drawInstancesSvg } from '../../src/visualization/svg.js';

const at = (name: string, x: number, y: number, score = 1) => ({ name, x, y, score });
const person = [
  at('nose', 50, 10),
  at('left_eye', 54, 8),
  at('right_eye', 46, 8, 0.05),
  at('left_shoulder', 60, 30),
  at('right_shoulder', 40, 30),
  at('left_hip', 56, 70),
  at('right_hip', 44, 70),
];

describe('the skeleton', () => {
  it('has points above the threshold, coloured lines between them, and red neck and spine', () => {
    const { lines, points } = skeletonOf(person);
    expect(points).toHaveLength(6);
    expect(lines).toEqual([
      { ends: [54, 8, 50, 10], color: [102, 0, 204] },
      { ends: [60, 30, 40, 30], color: [255, 128, 0] },
      { ends: [56, 70, 44, 70], color: [255, 102, 0] },
      { ends: [50, 10, 50, 30], color: [255, 0, 0] },
      { ends: [50, 70, 50, 30], color: [255, 0, 0] },
    ]);
  });

  it('takes rules of its own', () => {
    const rules = [{ from: 'nose', to: 'left_hip', color: [1, 2, 3] as const }];
    expect(skeletonOf([at('nose', 1, 2), at('left_hip', 3, 4)], rules).lines).toEqual([{ ends: [1, 2, 3, 4], color: [1, 2, 3] }]);
  });

  it('is painted and written as SVG, at the scale of the drawing', async () => {
    const instance = { box: [30, 2, 70, 90] as const, className: 'person', classIndex: 0, keypoints: person };
    const image = { data: new Uint8Array(100 * 100 * 3), height: 100, width: 100 };
    const png = await drawInstances(image, [instance], { showLabels: false, showBoxes: false, scale: 2 });
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    const pixel = (x: number, y: number): number[] => [...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)];
    expect(pixel(100, 20)).toEqual([255, 0, 0]); // the nose
    expect(pixel(100, 100)).toEqual([255, 0, 0]); // the spine
    expect(pixel(110, 60)).toEqual([255, 128, 0]); // between the shoulders
    expect(pixel(92, 16)).toEqual([0, 0, 0]); // the unsure eye
    const svg = drawInstancesSvg(undefined, 100, 100, [instance], { scale: 2 });
    expect(svg.match(/<circle /g)).toHaveLength(6);
    expect(svg).toContain('<path d="M120 60L80 60" stroke-linecap="round" stroke="#ff8000"');
  });
});
