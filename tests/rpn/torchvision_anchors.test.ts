import { describe, expect, it } from 'vitest';
import { AnchorGenerator } from '../../src/rpn/anchor_generator.js';

const options = { sizes: [[32], [64]], aspectRatios: [[0.5, 1, 2]], strides: [4, 64], offset: 0 };

describe("torchvision's anchors", () => {
  const anchors = new AnchorGenerator({ ...options, rounded: true });

  it('have corners in whole pixels, halves to even', () => {
    // 32 * sqrt(2) / 2 = 22.63, 32 / sqrt(2) / 2 = 11.31; 64: 45.25 and 22.63
    expect([...anchors.cellAnchors[0]!]).toEqual([-23, -11, 23, 11, -16, -16, 16, 16, -11, -23, 11, 23]);
    expect([...anchors.cellAnchors[1]!]).toEqual([-45, -23, 45, 23, -32, -32, 32, 32, -23, -45, 23, 45]);
    const halves = new AnchorGenerator({ ...options, sizes: [[5], [7]], aspectRatios: [[1]], rounded: true });
    expect([...halves.cellAnchors[0]!, ...halves.cellAnchors[1]!]).toEqual([-2, -2, 2, 2, -4, -4, 4, 4]);
  });

  it('stand as far apart as the padded input is over the map, rounded down', () => {
    // 800 x 1088: p2 is 200 x 272, p6 13 x 17; 800 / 13 = 61.5, 1088 / 17 = 64
    const placed = anchors.forMaps([
      { height: 200, width: 272 },
      { height: 13, width: 17 },
    ]);
    expect(placed.grid(0)).toEqual({ strideY: 4, strideX: 4, offset: 0 });
    expect(placed.grid(1)).toEqual({ strideY: 61, strideX: 64, offset: 0 });
    const last = placed.level(1, 13, 17).subarray(-12);
    expect([...last.subarray(4, 8)]).toEqual([16 * 64 - 32, 12 * 61 - 32, 16 * 64 + 32, 12 * 61 + 32]);
  });

  it("Detectron2's stay as they are", () => {
    const own = new AnchorGenerator(options);
    expect(own.forMaps([{ height: 200, width: 272 }])).toBe(own);
    expect(own.grid(1)).toEqual({ strideY: 64, strideX: 64, offset: 0 });
  });
});
