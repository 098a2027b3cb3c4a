import { describe, expect, it } from 'vitest';
import { InstanceMask } from '../../src/structures/masks/lazy_mask.js';
import { drawnSegments } from '../../src/visualization/drawn_segments.js';
import { buildScene } from '../../src/visualization/scene.js';
import { Visualizer } from '../../src/visualization/visualizer.js';

const [height, width] = [40, 60];
const inside = (x: number, y: number): boolean => x >= 10 && x < 30 && y >= 5 && y < 25;
const labels = Int32Array.from({ length: height * width }, (_, i) => (Math.floor(i / width) < 20 ? 1 : 2));
const ids = Int32Array.from(labels, (label, i) => (inside(i % width, Math.floor(i / width)) ? 1 : label + 1));
const mask = new InstanceMask(new Float32Array(28 * 28).fill(1), [10, 5, 30, 25], height, width);
const cat = { className: 'cat', classIndex: 3, score: 0.9, box: [10, 5, 30, 25] as const, mask };
const semantic = { height, width, labels };
const names = ['things', 'sky', 'grass'];
const segments = [
  { id: 1, isThing: true, categoryId: 3, area: 400, score: 0.9, instanceIndex: 0 },
  { id: 2, isThing: false, categoryId: 1, area: 900 },
  { id: 3, isThing: false, categoryId: 2, area: 1100 },
];
const pixels = { semantic, semanticClassNames: names, panoptic: { height, width, ids, segments }, things: [cat] };
const sum = (values: Uint8Array): number => values.reduce((a, b) => a + b, 0);

describe('what is drawn of things and stuff', () => {
  it('is every segment with its own pixels, stuff under names and colours of its own', () => {
    const drawn = drawnSegments([cat], pixels);
    expect(drawn.map(({ className, isStuff = false }) => [className, isStuff])).toEqual([
      ['cat', false],
      ['sky', true],
      ['grass', true],
    ]);
    // 20 rows of 60 less 15 x 20 of the thing; the other half less 5 x 20.
    expect(drawn.map(({ bitmap }) => sum(bitmap!.bitmap))).toEqual([400, 900, 1100]);
    const { shapes, labels: written } = buildScene(height, width, drawn);
    expect(shapes.filter(({ box }) => box).map(({ className }) => className)).toEqual(['cat']);
    expect(new Set(shapes.map(({ color }) => color.join())).size).toBe(3);
    expect(written.map(({ text }) => text)).toEqual(['cat 90%', 'sky', 'grass']);
  });

  it('leaves out things that were filtered out, and keeps stuff', () => {
    expect(drawnSegments([], pixels).map(({ className }) => className)).toEqual(['sky', 'grass']);
  });

  it('is the regions of a semantic map without the smallest', () => {
    const spotted = labels.slice();
    spotted[0] = 0;
    const drawn = drawnSegments([], { semantic: { ...semantic, labels: spotted }, semanticClassNames: names });
    expect(drawn.map(({ className, bitmap }) => [className, sum(bitmap!.bitmap)])).toEqual([
      ['things', 1],
      ['sky', 1199],
      ['grass', 1200],
    ]);
    const large = { height: 100, width: 100, labels: new Int32Array(10000).fill(1).fill(2, 0, 3) };
    expect(drawnSegments([], { semantic: large }).map(({ className }) => className)).toEqual(['stuff 1']);
  });

  it("is drawn by the Visualizer under Detectron2's names, or refused where there is nothing", async () => {
    const visualizer = new Visualizer({ data: new Uint8Array(height * width * 3), height, width, channels: 3, format: 'RGB' });
    expect(await visualizer.drawPanopticSeg(pixels).toSvg()).toMatch(/data-class="cat"[^]*grass/);
    const svg = await visualizer.drawSemSeg(pixels).toSvg();
    expect(svg).toContain('data-class="sky"');
    expect(svg).not.toContain('data-class="cat"');
    expect(() => visualizer.drawPanopticSeg({ semantic })).toThrow(/no panoptic map/);
    expect(() => visualizer.drawSemSeg({})).toThrow(/no semantic map/);
  });
});
