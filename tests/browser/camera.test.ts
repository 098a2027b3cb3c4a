import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, noChromium, openPage } from './chromium.js';
import { serveBuilt, type Site } from './site.js';
import { says, tells } from './web_page.js';

interface Watch {
  streams: MediaStream[];
  /** Pictures that the worker has and has not answered yet: now, and most ever. */
  inFlight: number;
  most: number;
}

/** Writes down what streams a page opens and how many pictures it hands its worker at a time. */
function watch(): void {
  const seen: Watch = { streams: [], inFlight: 0, most: 0 };
  Object.assign(window, { seen });
  const { mediaDevices } = navigator;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (wanted) => {
    const stream = await ask(wanted);
    seen.streams.push(stream);
    return stream;
  };
  const post = Worker.prototype.postMessage as (...given: unknown[]) => void;
  Worker.prototype.postMessage = function (this: Worker, ...given: unknown[]) {
    if ((given[0] as { kind?: string }).kind === 'predict') {
      seen.most = Math.max(seen.most, ++seen.inFlight);
      this.addEventListener('message', () => seen.inFlight--, { once: true });
    }
    post.apply(this, given);
  };
}

const seenIn = (): { most: number; streams: string[][] } => {
  const { most, streams } = (window as unknown as { seen: Watch }).seen;
  return { most, streams: streams.map((stream) => stream.getTracks().map((track) => track.readyState)) };
};

describe.skipIf(noChromium)(`the page's camera${noChromium ? `: ${noChromium}` : ''}`, () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    site = await serveBuilt('examples/web');
    browser = await launchChromium('webgl', ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  it('shows live pictures, drops those that come too early, starts once however often it is asked, and is given back', async () => {
    const { page, problems } = await openPage(browser, site.url, {}, watch);
    await says(page, /^Ready/);
    await page.evaluate(() => {
      const button = document.getElementById('camera')!;
      button.click();
      button.click();
    });
    await says(page, /The camera runs/);
    await page.waitForFunction(
      () => {
        const rows = [...document.querySelectorAll('#times dd')].map((row) => Number(row.textContent));
        return rows.at(-2)! > 0 && rows.at(-1)! > 2;
      },
      undefined,
      { timeout: 90_000 },
    );
    expect(await page.getAttribute('#camera', 'aria-pressed')).toBe('true');
    // A row of the list keeps the focus when the next picture comes, or the list where nothing is found in it.
    await page.locator('#score').focus();
    await page.keyboard.press('Home');
    await page.locator('#found button').first().focus();
    const times = await page.textContent('#times');
    await page.waitForFunction((times) => document.getElementById('times')!.textContent !== times, times, { timeout: 90_000 });
    expect(await page.evaluate(() => document.activeElement!.matches('#found, #found button'))).toBe(true);
    expect(await page.evaluate(seenIn)).toEqual({ most: 1, streams: [['live']] });
    await page.click('#camera');
    expect(await page.evaluate(seenIn)).toEqual({ most: 1, streams: [['ended']] });
    expect(await page.evaluate(() => document.querySelector('video')!.srcObject)).toBeNull();
    await says(page, /The camera is off/);
    expect(await page.getAttribute('#camera', 'aria-pressed')).toBe('false');

    // A picture ends the camera too, also while that is being asked for.
    await page.evaluate(() => {
      document.getElementById('camera')!.click();
      document.querySelector<HTMLButtonElement>('.sample[data-sample="1"]')!.click();
    });
    await says(page, /\d+ found in sample 1/);
    expect((await page.evaluate(seenIn)).streams).toEqual([['ended'], ['ended']]);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('says why it cannot be had', async () => {
    const denied = await openPage(browser, site.url, {}, () => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError'));
    });
    await says(denied.page, /^Ready/);
    await denied.page.click('#camera');
    await tells(denied.page, /The camera cannot be used: the permission was not given/);
    expect(await denied.page.getAttribute('#camera', 'aria-pressed')).toBe('false');
    const none = await openPage(browser, site.url, {}, () =>
      Object.defineProperty(navigator, 'mediaDevices', { value: undefined }),
    );
    await says(none.page, /^Ready/);
    await none.page.click('#camera');
    await tells(none.page, /gives it only to pages from https:/);
    for (const { page, problems } of [denied, none]) {
      expect(problems).toEqual([]);
      await page.context().close();
    }
  });
});
