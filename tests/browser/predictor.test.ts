import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goldenFolder } from '../golden_folder.js';
import { CHOICES } from '../rpn/proposal_problems.js';
import { KERNEL_NAMES } from '../ops/kernel_problems/index.js';
import { OP_NAMES } from '../ops/memory_problems.js';
import { PROBLEMS as SUPPRESSIONS } from '../ops/nms/problems.js';
import { PROBLEMS } from '../ops/roi_align/problems.js';
import { launchChromium, noChromium, openPage } from './chromium.js';
import { differences } from './golden_case.js';
import { serveBuilt, type Site } from './site.js';
import type {} from './page/main.js';

const PICTURE = '/files/tests/fixtures/mask_rcnn_R_18_FPN/inputs/0.png';
const MODEL = '/files/tests/fixtures/mask_rcnn_R_18_FPN/model/';

describe.skipIf(noChromium)(`in Chromium${noChromium ? `: ${noChromium}` : ''}`, () => {
  let site: Site;
  const browsers: Browser[] = [];
  beforeAll(async () => {
    site = await serveBuilt('tests/browser/page', { golden: goldenFolder() });
  });
  afterAll(async () => {
    for (const browser of browsers) await browser.close();
    await site?.close();
  });
  const launch = async (gpu: 'webgl' | 'webgpu'): Promise<Browser> => {
    const browser = await launchChromium(gpu);
    browsers.push(browser);
    return browser;
  };

  it('bundles without configuration: no Node modules, a worker, the WebAssembly files', () => {
    expect(site.warnings.filter((warning) => !/Some chunks are larger than 500 kB/.test(warning))).toEqual([]);
    expect(site.assets.filter((name) => name.endsWith('.wasm')).length).toBe(2);
    for (const name of ['worker', 'kernel_thread']) expect(site.assets.some((asset) => asset.startsWith(`${name}-`))).toBe(true);
  });

  describe.each(['wasm', 'webgl', 'webgpu'] as const)('%s', (device) => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await launch(device === 'webgpu' ? 'webgpu' : 'webgl');
    });

    it("finds Detectron2's instances in a picture, leaves no tensors and compiles nothing more once warm", async () => {
      const { page, problems } = await openPage(browser, site.url);
      const { result, description, tensors, programs } = await page.evaluate(
        async ([device, model, picture]) => {
          const { Predictor, held } = window.api;
          const file = new File([await (await fetch(picture)).blob()], '0.png');
          const predictor = await Predictor.load(model, { device });
          const first = await predictor.predict(file);
          await predictor.predict(file);
          const before = held();
          await predictor.predict(await createImageBitmap(file, { colorSpaceConversion: 'none' }));
          const after = held();
          const result = {
            boxes: first.instances.flatMap(({ box }) => [...box]),
            scores: first.instances.map(({ score }) => score),
            classes: first.instances.map(({ classIndex }) => classIndex),
            masks: first.toCoco({ imageId: 1 }).map(({ segmentation }) => segmentation!),
          };
          const { description } = predictor.backend;
          predictor.dispose();
          return {
            result,
            description,
            tensors: [before.tensors, after.tensors, held().tensors],
            programs: [before.programs, after.programs],
          };
        },
        [device, MODEL, PICTURE] as const,
      );
      expect(differences(result)).toEqual([]);
      expect(description).toMatch({ wasm: /WebAssembly/, webgl: /WebGL 2/, webgpu: /./ }[device]);
      expect(tensors[1]).toBe(tensors[0]);
      expect(tensors[2]).toBe(0);
      expect(programs[1]).toBe(programs[0]);
      expect(problems).toEqual([]);
      await page.context().close();
    });

    it("equals RoIAlign's plain loops, forward and backward", async () => {
      const { page, problems } = await openPage(browser, site.url);
      const rows = await page.evaluate(
        async ([device, table]) => {
          await window.api.startBackend(device);
          const rows = [];
          for (const [channels, ratio, aligned] of table) rows.push(await window.api.compareWithLoops(channels, ratio, aligned));
          return { rows, many: await window.api.compareManyMaps(), nothing: await window.api.poolNothing() };
        },
        [device, PROBLEMS] as const,
      );
      rows.rows.forEach(({ shape, newTensors, forward, backward, repeats }, i) => {
        expect(shape).toEqual([68, 7, 5, PROBLEMS[i][0]]);
        expect(newTensors).toBe(1);
        expect(forward).toBeLessThan(1e-6);
        expect(Math.max(...backward)).toBeLessThan(2e-5);
        expect(repeats).toBe(true);
      });
      expect(rows.many).toBeLessThan(1e-6);
      expect(rows.nothing).toEqual({ shape: [0, 7, 7, 8], gradient: 0 });
      expect(problems).toEqual([]);
      await page.context().close();
    });

    it('pastes masks and compares rotated boxes as the host does, with one read for a suppression', async () => {
      const { page, problems } = await openPage(browser, site.url);
      const { paste, overlaps, suppressions } = await page.evaluate(async (device) => {
        const { startBackend, comparePaste, compareOverlaps, compareSuppression } = window.api;
        await startBackend(device);
        return {
          paste: await comparePaste(),
          overlaps: await compareOverlaps(),
          suppressions: [await compareSuppression(0.05), await compareSuppression(0.31)],
        };
      }, device);
      expect(paste.shape).toEqual([6, 41, 4]);
      expect(paste.set).toBeGreaterThan(500);
      expect([paste.wrong, paste.newTensors]).toEqual([0, 0]);
      expect([overlaps.shape, overlaps.newTensors]).toEqual([[90, 70], 1]);
      expect(overlaps.overlapping).toBeGreaterThan(300);
      expect(overlaps.difference).toBeLessThan(device === 'wasm' ? 1e-12 : 3e-6);
      for (const { kept, expected, newTensors, reads } of suppressions) {
        expect(kept).toEqual(expected);
        expect(kept.length).toBeGreaterThan(60);
        expect([newTensors, reads]).toEqual([0, 1]);
      }
      expect(problems).toEqual([]);
      await page.context().close();
    });

    it.skipIf(!goldenFolder()).each(['roi_align', 'roi_pooler', 'batched_nms', 'rotated', 'deform_conv', 'paste_masks'])(
      'gives the recorded numbers of %s',
      async (operation) => {
        const { page, problems } = await openPage(browser, site.url);
        const lines = await page.evaluate(
          async ([device, operation]) => {
            await window.api.startBackend(device);
            return window.api.goldenOps('/golden/ops', operation);
          },
          [device, operation] as const,
        );
        expect(lines.length).toBeGreaterThan(0);
        expect(lines.filter((line) => !line.ok)).toEqual([]);
        expect(problems).toEqual([]);
        await page.context().close();
      },
    );

    it('holds after 100 runs what it held before, and compiles nothing for other numbers of regions', async () => {
      const { page, problems } = await openPage(browser, site.url);
      const [before, after] = await page.evaluate(async (device) => {
        const { startBackend, poolOnce, held } = window.api;
        await startBackend(device);
        for (const count of [1, 40, 41]) await poolOnce(count);
        const before = held();
        for (let run = 0; run < 100; run++) await poolOnce(2 + (run % 37));
        for (const count of [1, 40, 41]) await poolOnce(count);
        return [before, held()];
      }, device);
      expect(after.tensors).toBe(before.tensors);
      expect(after.programs).toBe(before.programs);
      if (device !== 'wasm') expect(after.bytesInGpu).toBe(before.bytesInGpu);
      expect(problems).toEqual([]);
      await page.context().close();
    });
  });

  describe.each(['webgl', 'webgpu'] as const)('what stays on the device on %s', (device) => {
    it('is all but two reads a picture', async () => {
      const { page, problems } = await openPage(await launch(device), site.url);
      const reads = await page.evaluate(
        async ([device, model, picture]) => {
          const { Predictor, countReads } = window.api;
          const blob = await (await fetch(picture)).blob();
          const sizes = ['INPUT.MIN_SIZE_TEST=64', 'INPUT.MAX_SIZE_TEST=96', 'TEST.DETECTIONS_PER_IMAGE=12'];
          const overrides = [...sizes, 'MODEL.RPN.PRE_NMS_TOPK_TEST=100', 'MODEL.RPN.POST_NMS_TOPK_TEST=40'];
          const predictor = await Predictor.load(model, { device, overrides });
          const found = (await predictor.predict(blob)).length;
          const counts = await countReads(() => predictor.predict(blob));
          predictor.dispose();
          return { found, counts };
        },
        [device, MODEL, PICTURE] as const,
      );
      expect(reads.found).toBeGreaterThan(0);
      expect(reads.counts).toEqual({ library: 2, waited: 2, blocked: 0 });
      expect(problems).toEqual([]);
      await page.context().close();
    });

    it('are the proposals that the plain loops choose', async () => {
      const { page, problems } = await openPage(await launch(device), site.url);
      const rows = await page.evaluate(
        async ([device, table]) => {
          const { compareChoice, compareDenseChoice, differentLabels, held, startBackend } = window.api;
          await startBackend(device);
          const before = held().tensors;
          const found = [];
          for (const [, ...choice] of table) found.push(...(await compareChoice(...choice)));
          const dense = await compareDenseChoice([6, 7], 25);
          const labels = await differentLabels();
          return { found, dense, labels, left: held().tensors - before };
        },
        [device, CHOICES] as const,
      );
      expect(rows.found.map(({ expected }) => expected.length)).toEqual(CHOICES.flatMap(([, , , most]) => [most, most]));
      for (const { chosen, expected, boxes } of rows.found) {
        expect(chosen).toEqual(expected);
        expect(boxes).toBeLessThan(1e-4);
      }
      // A one-stage detector's candidates, and the classes of pixels.
      for (const { found, expected, boxes } of rows.dense) {
        expect(found).toEqual(expected);
        expect(boxes).toBeLessThan(1e-3);
      }
      expect(rows.labels).toEqual({ different: 0, joined: 0 });
      expect(rows.left).toBe(0);
      expect(problems).toEqual([]);
      await page.context().close();
    });

    it('are the boxes that the plain loops keep, and a clear error where there are too many', async () => {
      // 20,000 boxes take a GPU in software a while: those of webgpu are tested in Node.
      const names = Object.keys(SUPPRESSIONS).filter((name) => device === 'webgl' || !name.startsWith('20,000'));
      const { page, problems } = await openPage(await launch(device), site.url);
      const answer = await page.evaluate(
        async ([device, names]) => {
          const { keptOf, refusalOfTooMany, startBackend } = window.api;
          await startBackend(device);
          const found = [];
          for (const name of names) found.push({ name, ...(await keptOf(name)) });
          return { found, refusal: refusalOfTooMany() };
        },
        [device, names] as const,
      );
      for (const { name, kept, expected, newTensors } of answer.found)
        expect([name, newTensors, ...kept]).toEqual([name, 1, ...expected]);
      expect(answer.found.some(({ count }) => count === 20_000)).toBe(device === 'webgl');
      expect(answer.refusal.message).toMatch(
        /^Suppression on webg(l|pu) among 200000 boxes needs a (matrix|texture) of .*take wasm\.$/,
      );
      expect(answer.refusal.newTensors).toBe(0);
      expect(problems).toEqual([]);
      await page.context().close();
    });

    it('are regions that only the GPU knows: placed and pooled as those of the host', async () => {
      const { page, problems } = await openPage(await launch(device), site.url);
      const distances = await page.evaluate(
        async ([device, table]) => {
          await window.api.startBackend(device);
          const distances = [];
          for (const [channels, ratio, aligned] of table)
            distances.push(await window.api.compareDeviceRegions(channels, ratio, aligned));
          return distances;
        },
        [device, PROBLEMS.slice(1, 4)] as const,
      );
      for (const distance of distances) expect(distance).toBeLessThan(1e-5);
      expect(distances.length).toBe(3);
      expect(problems).toEqual([]);
      await page.context().close();
    });
  });

  describe.each(['webgl', 'webgpu'] as const)('every kernel of the table on %s', (device) => {
    it('has the values and the gradients of its definition, which repeat bit by bit', async () => {
      const { page, problems } = await openPage(await launch(device), site.url);
      const { asked, wrong } = await page.evaluate(async (device) => {
        await window.api.startBackend(device);
        return window.api.wrongKernels();
      }, device);
      expect(asked).toBe(KERNEL_NAMES.length);
      expect(wrong).toEqual({});
      expect(problems).toEqual([]);
      await page.context().close();
    });
  });

  describe.each(['webgl', 'webgpu'] as const)('memory on %s', (device) => {
    it('is after 100 runs of every op what it was before', async () => {
      const { page, problems } = await openPage(await launch(device), site.url);
      const { ran, differences } = await page.evaluate(async (device) => {
        await window.api.startBackend(device);
        return window.api.heldAfterRuns();
      }, device);
      expect(ran).toEqual(OP_NAMES);
      expect(differences).toEqual([]);
      expect(problems).toEqual([]);
      await page.context().close();
    });
  });

  describe('programs on webgl', () => {
    it('are compiled by the warm-up: pictures of other sizes, with other numbers of instances, compile none', async () => {
      const browser = await launch('webgl');
      const { page, problems } = await openPage(browser, site.url);
      const answer = await page.evaluate(
        async ([model, picture]) => {
          const { Predictor, held } = window.api;
          // Small, with few regions: a software driver is slow.
          const sizes = ['INPUT.MIN_SIZE_TEST=64', 'INPUT.MAX_SIZE_TEST=96'];
          const overrides = [...sizes, 'MODEL.RPN.POST_NMS_TOPK_TEST=40', 'TEST.DETECTIONS_PER_IMAGE=12'];
          const predictor = await Predictor.load(model, { device: 'webgl', overrides });
          await predictor.warmUp();
          const warm = held();
          const bitmap = await createImageBitmap(await (await fetch(picture)).blob());
          const runs = [];
          for (const [width, height] of [
            [200, 150],
            [120, 160],
            [130, 128],
            [300, 90],
          ] as const) {
            const canvas = new OffscreenCanvas(width, height);
            canvas.getContext('2d')!.drawImage(bitmap, 0, 0, width, height);
            const found = await predictor.predict(await createImageBitmap(canvas));
            runs.push({ found: found.length, programs: held().programs });
          }
          const { tensors } = held();
          predictor.dispose();
          return { warm, runs, tensors };
        },
        [MODEL, PICTURE] as const,
      );
      expect(answer.warm.programs).toBeGreaterThan(20);
      expect(answer.runs.map(({ programs }) => programs)).toEqual(answer.runs.map(() => answer.warm.programs));
      expect(new Set(answer.runs.map(({ found }) => found)).size).toBeGreaterThan(1);
      expect(answer.tensors).toBe(answer.warm.tensors);
      expect(problems).toEqual([]);
      await page.context().close();
    });
  });
});
