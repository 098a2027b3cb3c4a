import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { classColor, hexColor } from '../../src/visualization/colors.js';
import { drawInstancesSvg, escapeXml } from '../../src/visualization/svg.js';
import type { DrawnInstance } from '../../src/visualization/scene.js';

const instance = (className: string, classIndex = 0): DrawnInstance => ({
  box: [20, 30, 60, 70],
  score: 0.5,
  className,
  classIndex,
  bitmap: { x0: 20, y0: 30, x1: 60, y1: 70, bitmap: new Uint8Array(1600).fill(1) },
});

/** Tags must close in the order they opened, and no stray < or & may be left. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, closing, name, empty] of svg.matchAll(/<(\/?)([a-z]+)(?:\s[a-zA-Z-]+="[^"<]*")*(\/?)>/g)) {
    if (closing) expect(open.pop()).toBe(name);
    else if (!empty) open.push(name);
  }
  expect(open).toEqual([]);
  const rest = svg.replace(/<\/?[a-z]+(?:\s[a-zA-Z-]+="[^"<]*")*\/?>/g, '');
  expect(rest).not.toMatch(/[<>]|&(?!(amp|lt|gt|quot|#39);)/);
}

describe('drawInstancesSvg', () => {
  it('is well-formed with hostile names, in attributes and in text', () => {
    const svg = drawInstancesSvg(undefined, 100, 120, [instance('</svg><script>"\'&\u0000\ud800'), instance('犬 <猫>', 3)]);
    expectWellFormed(svg);
    expect(svg).not.toContain('<script');
    expect(svg).toContain('犬 &lt;猫&gt; 50%</text>');
  });

  it('draws Latin labels as outlines and keeps their text as title', () => {
    const svg = drawInstancesSvg(undefined, 100, 120, [instance('cat')]);
    expectWellFormed(svg);
    expect(svg).not.toContain('<text');
    expect(svg.match(/<title>cat 50%<\/title>/g)).toHaveLength(2);
    expect(svg).toContain(`fill="${hexColor(classColor(0))}"`);
  });

  it('shows the same colours as the PNG when a viewer renders it', async () => {
    const image = { data: new Uint8Array(100 * 120 * 3).fill(100), height: 100, width: 120 };
    const svg = drawInstancesSvg(image, 100, 120, [instance('cat')], { maskOpacity: 0.5 });
    const { data, info } = await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    expect([info.height, info.width]).toEqual([100, 120]);
    const at = (50 * 120 + 40) * 3;
    classColor(0).forEach((c, i) => expect(Math.abs(data[at + i] - (100 + c) / 2)).toBeLessThanOrEqual(1));
    expect(data[(90 * 120 + 100) * 3]).toBe(100);
  });

  it('links a picture by address, and is the same every time', () => {
    const draw = () => drawInstancesSvg('a.jpg?x=1&y=2', 100, 120, [instance('cat')]);
    expect(draw()).toContain('href="a.jpg?x=1&amp;y=2"');
    expect(draw()).toBe(draw());
  });
});

describe('escapeXml', () => {
  it('escapes the five characters and replaces the forbidden', () => {
    expect(escapeXml(`<a b="c" d='e'>&\u0007`)).toBe('&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;\ufffd');
    expect(escapeXml('😀\ud800')).toBe('😀\ufffd');
  });
});
