import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encode } from 'fast-png';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../src/cli/program.js';
import type { CocoDataset } from '../../src/data/coco/coco_types.js';

const guide = readFileSync(fileURLToPath(new URL('../../docs/prepare_a_data_set.md', import.meta.url)), 'utf8');
const commands = [...guide.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap((m) => m[1]!.trim().split('\n'));

const folder = mkdtempSync(join(tmpdir(), 'guide-'));
const before = process.cwd();
const put = (name: string, content: string | Uint8Array) => {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
};
const coco = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as CocoDataset;

/** What a reader of the guide has: five pictures, and annotations of every tool. */
beforeAll(async () => {
  const png = await sharp({ create: { width: 100, height: 60, channels: 3, background: 'gray' } })
    .png()
    .toBuffer();
  const via: Record<string, object> = {};
  for (let i = 0; i < 5; i++) {
    put(`pictures/${i}.png`, png);
    const shapes = [
      {
        label: i % 2 ? 'dog' : 'kitten',
        shape_type: 'polygon',
        points: [
          [10, 10],
          [40, 10],
          [40, 30],
          [10, 30],
        ],
      },
    ];
    // One polygon leaves its picture, which check has to find.
    if (i === 0)
      shapes.push({
        label: 'dog',
        shape_type: 'polygon',
        points: [
          [80, 40],
          [130, 40],
          [130, 55],
          [80, 55],
        ],
      });
    put(`labelme/${i}.json`, JSON.stringify({ imagePath: `${i}.png`, imageWidth: 100, imageHeight: 60, shapes }));
    const shape = { name: 'rect', x: 50, y: 5, width: 20, height: 20 };
    via[`${i}.png1`] = { filename: `${i}.png`, regions: [{ shape_attributes: shape, region_attributes: { class: 'cat' } }] };
    put(
      `voc/${i}.xml`,
      `<annotation><filename>${i}.png</filename><size><width>100</width><height>60</height></size><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>10</ymax></bndbox></object></annotation>`,
    );
    put(`yolo/labels/${i}.txt`, '0 0.5 0.5 0.2 0.2\n');
    const data = Uint8Array.from({ length: 6000 }, (_, p) => (p % 100 < 30 && p < 1000 ? 255 : 0));
    put(`masks/cat/${i}_1.png`, encode({ width: 100, height: 60, channels: 1, depth: 8, data }));
  }
  put('via.json', JSON.stringify(via));
  put('yolo/data.yaml', 'names: [cat]\n');
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

describe('the guide to a data set', () => {
  it('has commands that all work, and say so', async () => {
    expect(commands.length).toBeGreaterThan(12);
    for (const command of commands) {
      expect(command).toMatch(/^npx maskrcnn /);
      if (command.includes('detections.json')) {
        const data = coco('data.json');
        const results = data.annotations.map(({ image_id, category_id, bbox }) => ({ image_id, category_id, bbox, score: 0.9 }));
        put('detections.json', JSON.stringify(results));
      }
      let printed = '';
      const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed += String(text)), true));
      const code = await runCommandLine(command.split(' ').slice(2), { out: (t) => (printed += t), err: (t) => (printed += t) });
      out.mockRestore();
      expect([code, process.exitCode ?? 0], `${command}\n${printed}`).toEqual([0, 0]);
    }
    for (const name of ['labelme', 'via_coco', 'voc', 'yolo', 'masks']) expect(coco(`${name}.json`).images, name).toHaveLength(5);
    const data = coco('data.json');
    expect(data.categories.map((c) => c.name).sort()).toEqual(['cat', 'dog']);
    expect(data.annotations).toHaveLength(11);
    // The polygon that left its picture ends at the border now.
    expect(data.annotations.map((a) => a.bbox)).toContainEqual([80, 40, 20, 15]);
    const [train, val] = [coco('splits/train.json'), coco('splits/val.json')];
    expect(train.images.length + val.images.length).toBe(10);
    expect(existsSync(join(folder, 'for_labelme/0.json')) && existsSync(join(folder, 'for_yolo/data.yaml'))).toBe(true);
    const report = JSON.parse(readFileSync(join(folder, 'report/evaluation.json'), 'utf8')) as {
      tasks: { bbox: { summary: { AP: number } } };
    };
    expect(report.tasks.bbox.summary.AP).toBeCloseTo(1, 9);
    for (const page of ['browse.html', 'report/evaluation.html']) expect(existsSync(join(folder, page)), page).toBe(true);
  });
});
