import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CocoResult } from '../../src/structures/detected_instances.js';
import { launchChromium, noChromium, openPage } from './chromium.js';
import { serveBuilt, type Site } from './site.js';
import { drop, says, tells } from './web_page.js';

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

  const rows = (page: Page): Promise<string[]> => page.locator('#found button').allTextContents();

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
    await tells(page, /'package\.json' is not an image that this browser can read/);
    await page.click('.sample[data-sample="1"]');
    await says(page, /7 found/);
    await page.context().close();
  });

  it('goes on after a device that does not work here, and after weights that are none', async () => {
    const { page } = await openPage(browser, site.url, {}, () => {
      Object.defineProperty(navigator, 'gpu', { value: undefined });
      Object.defineProperty(WorkerNavigator.prototype, 'gpu', { value: undefined });
    });
    await says(page, /^Ready/);
    await page.selectOption('#device', 'webgpu');
    await tells(page, /device webgpu/);
    expect(await page.textContent('#status')).toBe('');
    await page.click('.sample[data-sample="1"]');
    await tells(page, /There is no model to look with\. Choose another device or model, or try again\./);
    await page.click('#retry');
    await says(page, /7 found in sample 1/);
    expect(await page.textContent('#problem')).toBe('');
    expect(await page.inputValue('#device')).toBe('auto');
    expect(await page.isHidden('#retry')).toBe(true);

    await page.selectOption('#model', 'disk');
    await page.setInputFiles('#weights', 'package.json');
    await page.click('#disk button');
    await tells(page, /package\.json/);
    await expect.poll(() => page.workers().length).toBe(0);
    await page.selectOption('#model', 'shipped');
    await says(page, /7 found in sample 1/);
    await page.context().close();
  });

  it('loads a converted file with its configuration from disk', async () => {
    const { page, problems } = await openPage(browser, site.url);
    await says(page, /^Ready/);
    await page.selectOption('#model', 'disk');
    await page.setInputFiles('#weights', 'weights/emoji/model.safetensors');
    await page.selectOption('#config', '');
    await page.setInputFiles('#yaml', 'weights/emoji/config.yaml');
    await page.click('#disk button');
    await says(page, /^Ready/);
    await drop(page, 'examples/images/emoji_1.jpg', 'emoji_1.jpg');
    await says(page, /7 found/);
    expect(page.workers().length).toBe(1);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('tells about what is under the pointer, and what a finger touched until it touches something else', async () => {
    const { page, problems } = await openPage(browser, site.url, { hasTouch: true, viewport: { width: 390, height: 844 } });
    await says(page, /^Ready/);
    await page.click('.sample[data-sample="1"]');
    await says(page, /7 found/);
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save-json')]);
    const [best] = JSON.parse(readFileSync(await download.path(), 'utf8')) as CocoResult[];
    const [height, width] = best.segmentation!.size;
    await page.evaluate(() => scrollTo(0, 0));
    const bounds = (await page.locator('#picture').boundingBox())!;
    const place = {
      x: bounds.x + ((best.bbox[0] + best.bbox[2] / 2) / width) * bounds.width,
      y: bounds.y + ((best.bbox[1] + best.bbox[3] / 2) / height) * bounds.height,
    };
    const name = (await page.locator('#found button').first().textContent())!.replace(/\d+ %$/, '');
    const shown = async (): Promise<[boolean, number]> => [
      await page.isVisible('#tip'),
      await page.locator('#found button.active').count(),
    ];
    await page.mouse.move(place.x, place.y);
    expect(await shown()).toEqual([true, 1]);
    expect(await page.textContent('#tip')).toContain(name);
    await page.keyboard.press('Escape');
    expect(await shown()).toEqual([false, 0]);
    await page.mouse.move(place.x + 1, place.y);
    expect(await shown()).toEqual([true, 1]);
    await page.mouse.move(5, 5);
    expect(await shown()).toEqual([false, 0]);
    await page.touchscreen.tap(place.x, place.y);
    expect(await shown()).toEqual([true, 1]);
    await page.touchscreen.tap(20, 20);
    expect(await shown()).toEqual([false, 0]);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('can be worked from the first key to the last without a pointer, and its details are described', async () => {
    const { page, problems } = await openPage(browser, site.url);
    await says(page, /^Ready/);
    /** Goes on by Tab until an element that fits has the focus. */
    const tabTo = async (selector: string): Promise<void> => {
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press('Tab');
        if (await page.evaluate((selector) => document.activeElement!.matches(selector), selector)) return;
      }
      throw new Error(`Tab does not come to ${selector}`);
    };
    await tabTo('#choose');
    const chosen = page.waitForEvent('filechooser');
    // Chromium is asked to hand choosers over before the key comes.
    await page.evaluate(() => undefined);
    await page.keyboard.press('Enter');
    const chooser = await chosen;
    await chooser.setFiles('examples/images/emoji_2.jpg');
    await says(page, /found in emoji_2\.jpg/);
    await tabTo('#device');
    await tabTo('#score');
    await page.keyboard.press('ArrowLeft');
    expect(await page.textContent('#score-value')).toBe('49 %');
    await tabTo('#found button');
    const described = await page.evaluate(() => {
      const button = document.activeElement!;
      return document.getElementById(button.getAttribute('aria-describedby')!)!.textContent;
    });
    expect(described).toMatch(/score \d+\.\d %box \d+ × \d+ px at \d+, \d+mask [\d,]+ px/);
    await tabTo('#save-png');
    const [download] = await Promise.all([page.waitForEvent('download'), page.keyboard.press('Enter')]);
    expect(download.suggestedFilename()).toBe('instances.png');
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('is readable in light and in dark', async () => {
    const grounds: string[] = [];
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, problems } = await openPage(browser, site.url, { colorScheme });
      await says(page, /^Ready/);
      await page.click('.sample[data-sample="1"]');
      await says(page, /7 found/);
      const { ground, contrasts } = await page.evaluate(measureContrasts);
      grounds.push(ground);
      expect(contrasts.length).toBeGreaterThan(20);
      // What the Web Content Accessibility Guidelines ask of text.
      expect(contrasts.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
      expect(problems).toEqual([]);
      await page.context().close();
    }
    expect(grounds[0]).not.toBe(grounds[1]);
  });

  it.each(['webgl', 'webgpu'] as const)('leaves %s with nothing on it when another device is chosen', async (device) => {
    const gpu = await launchChromium(device);
    const { page, problems } = await openPage(gpu, site.url);
    await says(page, /^Ready/);
    await page.selectOption('#device', device);
    await page.waitForFunction(
      (name) => new RegExp(name, 'i').test(document.getElementById('device-info')!.textContent!),
      device === 'webgl' ? 'WebGL 2' : 'Runs on WebGPU',
      { timeout: 90_000 },
    );
    await says(page, /^Ready/);
    await page.selectOption('#device', 'wasm');
    await page.waitForFunction(() => /WebAssembly/.test(document.getElementById('device-info')!.textContent!), undefined, {
      timeout: 90_000,
    });
    expect(page.workers().length).toBe(1);
    await page.click('.sample[data-sample="1"]');
    await says(page, /7 found/);
    expect(problems).toEqual([]);
    await gpu.close();
  });
});

/** The contrast of every text of the page with what it lies on. */
function measureContrasts(): { ground: string; contrasts: { text: string; ratio: number }[] } {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })!;
  const rgb = (color: string): number[] => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color: number[]): number => {
    const [r, g, b] = color.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const groundOf = (element: Element | null): number[] => {
    if (!element) return [255, 255, 255, 255];
    const color = rgb(getComputedStyle(element).backgroundColor);
    return color[3] > 0 ? color : groundOf(element.parentElement);
  };
  const contrasts = [];
  for (const element of document.querySelectorAll<HTMLElement>('body *')) {
    const text = [...element.childNodes]
      .filter((node) => node.nodeType === Node.TEXT_NODE)
      .map((node) => node.textContent!.trim());
    if (text.join('') === '' || !element.checkVisibility() || element.matches('option, :disabled')) continue;
    const [a, b] = [luminance(rgb(getComputedStyle(element).color)), luminance(groundOf(element))];
    contrasts.push({ text: text.join(' '), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) });
  }
  return { ground: getComputedStyle(document.body).backgroundColor, contrasts };
}
