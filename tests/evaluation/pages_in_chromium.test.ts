import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.js';

const executablePath = process.env['MASKRCNN_CHROMIUM'] ?? '/usr/bin/chromium';
const folder = mkdtempSync(join(tmpdir(), 'pages-'));
const at = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

// Needs a Chromium (Debian's, or the one that MASKRCNN_CHROMIUM names).
describe.skipIf(!existsSync(executablePath))('pages in Chromium, from disk', () => {
  let browser: Browser;
  beforeAll(async () => {
    const png = await sharp({ create: { width: 60, height: 40, channels: 3, background: 'teal' } })
      .png()
      .toBuffer();
    const images = Array.from({ length: 30 }, (_, i) => ({ id: i + 1, file_name: `${i}.png`, width: 60, height: 40 }));
    for (const { file_name } of images) writeFileSync(at(file_name), png);
    const annotations = images.map(({ id }) => ({
      id,
      image_id: id,
      category_id: id <= 6 ? 1 : 2,
      bbox: [10, 5, 20, 20],
      area: 400,
      iscrowd: 0,
      segmentation: [[10, 5, 30, 5, 30, 25, 10, 25]],
    }));
    const categories = ['cat', '</script><img src=x onerror=alert(1)>'].map((name, i) => ({ id: i + 1, name }));
    writeFileSync(at('gt.json'), JSON.stringify({ images, annotations, categories }));
    writeFileSync(at('dt.json'), JSON.stringify(annotations.slice(3).map((a) => ({ ...a, score: 0.9 }))));
    const quiet = { out: () => undefined, err: () => undefined };
    const write = process.stdout.write.bind(process.stdout);
    process.stdout.write = () => true;
    try {
      await runCommandLine(['dataset', 'browse', at('gt.json'), '--images', folder, '--output', at('browse.html')], quiet);
      await runCommandLine(
        ['evaluate', '--results', at('dt.json'), '--json-file', at('gt.json'), '--images', folder, '--output', folder],
        quiet,
      );
    } finally {
      process.stdout.write = write;
    }
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());

  const open = async (name: string): Promise<{ page: Page; problems: string[] }> => {
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => problems.push(message.text()));
    page.on('dialog', (dialog) => problems.push(dialog.message()));
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) problems.push(request.url());
    });
    await page.goto(`file://${at(name)}`);
    return { page, problems };
  };

  it('browses: pages of 24, a filter by class, overlays where the boxes are', async () => {
    const { page, problems } = await open('browse.html');
    expect(await page.locator('figure').count()).toBe(24);
    await page.click('#next');
    expect(await page.locator('figure').count()).toBe(6);
    await page.selectOption('#class', '1');
    expect(await page.locator('figure').count()).toBe(6);
    expect(await page.textContent('#where')).toBe('6 images, page 1 of 1');
    const [picture, box] = await Promise.all([
      page.locator('.picture').first().boundingBox(),
      page.locator('svg rect').first().boundingBox(),
    ]);
    expect((box!.x - picture!.x) / picture!.width).toBeCloseTo(10 / 60, 1);
    expect((box!.y - picture!.y) / picture!.height).toBeCloseTo(5 / 40, 1);
    await page.uncheck('#boxes');
    expect(await page.locator('svg rect').count()).toBe(0);
    expect(await page.locator('svg path').count()).toBe(6);
    expect(problems).toEqual([]);
  });

  it('reports: a chart for each task, numbers, and the three images with a miss', async () => {
    const { page, problems } = await open('evaluation.html');
    expect(await page.locator('.chart canvas').count()).toBe(2);
    await page.selectOption('[data-curve=segm]', '0');
    expect(await page.locator('#chart-segm .u-series').count()).toBe(5);
    expect(await page.locator('figure').count()).toBe(3);
    expect(await page.locator('.missed rect').count()).toBe(3);
    expect(await page.locator('.confusion').first().locator('tr').count()).toBe(4);
    expect(problems).toEqual([]);
  });
});
