import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, noChromium, openPage } from './chromium.js';
import { differences } from './golden_case.js';
import { serveBuilt, type Site } from './site.js';
import type {} from './page/main.js';

const PICTURE = '/files/tests/fixtures/mask_rcnn_R_18_FPN/inputs/0.png';
const MODEL = '/files/tests/fixtures/mask_rcnn_R_18_FPN/model/';

describe.skipIf(noChromium)(`wasm in Chromium${noChromium ? `: ${noChromium}` : ''}`, () => {
  let browser: Browser;
  const sites: Site[] = [];
  beforeAll(async () => {
    for (const isolated of [false, true]) sites.push(await serveBuilt('tests/browser/page', { isolated }));
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    for (const site of sites) await site.close();
  });

  it('has the gradients that training takes, as plain JavaScript has them', async () => {
    const { page, problems } = await openPage(browser, sites[0].url);
    const { names, worst, pooled, left } = await page.evaluate(async () => {
      const { gradients, maxDifference, startBackend, tf } = window.api;
      await startBackend('wasm');
      const before = tf.memory().numTensors;
      const found = await gradients();
      const left = tf.memory().numTensors - before;
      await startBackend('cpu');
      const plain = await gradients();
      const names = Object.keys(found);
      const pooled = found.byPooled.reduce((sum, value) => sum + value, 0);
      return { names, worst: names.map((name) => maxDifference(found[name], plain[name])), pooled, left };
    });
    expect(names).toEqual(['byMap', 'byFilter', 'byPooled', 'byGathered']);
    for (const difference of worst) expect(difference).toBeLessThan(1e-5);
    // One for each of the 2 x 4 x 3 windows of 5 channels, though all values are negative.
    expect(pooled).toBe(120);
    expect(left).toBe(0);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it.each([
    ['shares memory between threads on an isolated page', 1],
    ['has one thread on any other', 0],
  ])('%s; either way its kernels are our own and equal', async (_, isolated) => {
    const { page, problems } = await openPage(browser, sites[isolated].url);
    const answer = await page.evaluate(async () => {
      const { compareThreads, startBackend } = window.api;
      const { description } = await startBackend('wasm');
      return {
        ...(await compareThreads()),
        description,
        isolated: crossOriginIsolated,
        processors: navigator.hardwareConcurrency,
      };
    });
    expect(answer.isolated).toBe(isolated === 1);
    const count = isolated ? Math.min(8, answer.processors) : 1;
    expect(answer.threads).toBe(count);
    expect(answer.description).toMatch(count > 1 ? `SIMD, ${count} threads` : /SIMD, one thread$/);
    expect(answer.ownHeap).toBe(true);
    expect(answer.fromOne).toBe(0);
    expect(answer.fromPlain).toBeLessThan(2e-4);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it("finds Detectron2's instances with several threads, on the page's own thread and in a worker", async () => {
    const [, site] = sites;
    const { page, problems } = await openPage(browser, site.url);
    const answer = await page.evaluate(
      async ([model, picture]) => {
        const { awaitThreads, Predictor } = window.api;
        const predictor = await Predictor.load(model, { device: 'wasm' });
        const threads = await awaitThreads();
        const found = await predictor.predict(await (await fetch(picture)).blob());
        predictor.dispose();
        const result = {
          boxes: found.instances.flatMap(({ box }) => [...box]),
          scores: found.instances.map(({ score }) => score),
          classes: found.instances.map(({ classIndex }) => classIndex),
          masks: found.toCoco({ imageId: 1 }).map(({ segmentation }) => segmentation!),
        };
        return { result, threads };
      },
      [MODEL, PICTURE] as const,
    );
    expect(differences(answer.result)).toEqual([]);
    site.requested.length = 0;
    const { rows, description } = await page.evaluate(async () => {
      const overrides = ['INPUT.MIN_SIZE_TEST=480', 'INPUT.MAX_SIZE_TEST=640'];
      const worker = await window.api.PredictorWorker.load('/files/weights/emoji/', { device: 'wasm', overrides });
      const rows = [];
      // Its threads start once there has been work enough, which the first two are.
      for (let i = 0; i < 3; i++) rows.push((await worker.predict('/files/examples/images/emoji_1.jpg')).toCoco({ imageId: 1 }));
      worker.dispose();
      return { rows, description: worker.backend.description };
    });
    expect(rows[0].length).toBeGreaterThan(0);
    expect(rows[2]).toEqual(rows[0]);
    if (answer.threads > 1) expect(description).toContain(`${answer.threads} threads`);
    const started = site.requested.filter((path) => path.includes('kernel_thread')).length;
    expect(started).toBe(answer.threads - 1);
    expect(problems).toEqual([]);
    await page.context().close();
  });
});
