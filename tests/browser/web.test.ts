import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CocoResult } from '../../src/structures/detected_instances.js';
import { launchChromium, noChromium, openPage } from './chromium.js';
import { serveBuilt, type Site } from './site.js';

describe.skipIf(noChromium)(`the page${noChromium ? `: ${noChromium}` : ''}`, () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    site = await serveBuilt('examples/web');
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  const says = (page: Page, text: RegExp): Promise<unknown> =>
    page.waitForFunction((source) => new RegExp(source).test(document.getElementById('status')!.textContent!), text.source, {
      timeout: 90_000,
    });
  const rows = (page: Page): Promise<string[]> => page.locator('#found button').allTextContents();

  /** Drops a file of the repository on the page, as a file manager does. */
  async function drop(page: Page, path: string, name: string): Promise<void> {
    const bytes = [...readFileSync(new URL(`../../${path}`, import.meta.url))];
    const transfer = await page.evaluateHandle(
      ([bytes, name]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name));
        return transfer;
      },
      [bytes, name] as const,
    );
    await page.dispatchEvent('#stage', 'drop', { dataTransfer: transfer });
  }

  it('shows instances of a dropped file, gives them as COCO JSON and PNG, and logs no error', async () => {
    const { page, problems } = await openPage(browser, site.url);
    await says(page, /^Ready/);
    await drop(page, 'examples/images/emoji_1.jpg', 'emoji_1.jpg');
    await says(page, /7 found in emoji_1\.jpg/);
    expect((await rows(page)).length).toBe(7);

    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save-json')]);
    expect(download.suggestedFilename()).toBe('instances.json');
    const results = JSON.parse(readFileSync(await download.path(), 'utf8')) as CocoResult[];
    expect(results.length).toBe(7);
    for (const { image_id, category_id, bbox, score, segmentation } of results) {
      expect(image_id).toBe(1);
      expect(category_id).toBeGreaterThan(0);
      expect(bbox[2] * bbox[3]).toBeGreaterThan(0);
      expect(score).toBeGreaterThanOrEqual(0.5);
      expect(segmentation!.counts.length).toBeGreaterThan(0);
    }
    const [png] = await Promise.all([page.waitForEvent('download'), page.click('#save-png')]);
    const bytes = readFileSync(await png.path());
    expect([...bytes.subarray(0, 4)]).toEqual([137, 80, 78, 71]);
    expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([
      results[0].segmentation!.size[1],
      results[0].segmentation!.size[0],
    ]);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('filters by score without a new inference, tells about an instance by keyboard, changes devices, and fits a phone', async () => {
    const { page, problems } = await openPage(browser, site.url);
    await page.setViewportSize({ width: 390, height: 844 });
    await says(page, /^Ready/);
    await page.click('.sample[data-sample="2"]');
    await says(page, /found in sample 2/);
    const before = (await rows(page)).length;
    const times = await page.textContent('#times');
    await page.locator('#score').focus();
    await page.keyboard.press('Home');
    expect((await rows(page)).length).toBeGreaterThanOrEqual(before);
    await page.keyboard.press('End');
    for (const row of await rows(page)) expect(row).toMatch(/(99|100) %$/);
    await page.keyboard.press('Home');
    expect(await page.textContent('#times')).toBe(times);
    await page.locator('#found button').first().focus();
    expect(await page.textContent('#tip')).toMatch(/score \d+\.\d %box \d+ × \d+ px at \d+, \d+mask [\d,]+ px/);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);

    const found = await rows(page);
    await page.selectOption('#device', 'cpu');
    await page.waitForFunction(() => /JavaScript/.test(document.getElementById('device-info')!.textContent!), undefined, {
      timeout: 90_000,
    });
    await says(page, /found in sample 2/);
    expect(await rows(page)).toEqual(found);
    // The old device's worker is gone, with everything that it held.
    expect(page.workers().length).toBe(1);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('says what is wrong with a file that is no picture, and goes on', async () => {
    const { page } = await openPage(browser, site.url);
    await says(page, /^Ready/);
    await drop(page, 'package.json', 'package.json');
    await says(page, /'package\.json' is not an image that this browser can read/);
    await page.click('.sample[data-sample="1"]');
    await says(page, /7 found/);
    await page.context().close();
  });
});
