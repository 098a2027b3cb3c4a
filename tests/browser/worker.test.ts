import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, noChromium, openPage } from './chromium.js';
import { differences } from './golden_case.js';
import { serveBuilt, type Site } from './site.js';
import type {} from './page/main.js';

const PICTURE = '/files/tests/fixtures/mask_rcnn_R_18_FPN/inputs/0.png';
const MODEL = '/files/tests/fixtures/mask_rcnn_R_18_FPN/model/';
/** A device and a size at which a prediction takes no time. */
const QUICK = { device: 'wasm', overrides: ['INPUT.MIN_SIZE_TEST=64', 'MODEL.RPN.POST_NMS_TOPK_TEST=40'] } as const;

describe.skipIf(noChromium)(`a worker in Chromium${noChromium ? `: ${noChromium}` : ''}`, () => {
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    site = await serveBuilt('tests/browser/page');
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  it('finds the same, takes transferred frames, and says what is wrong in the same words', async () => {
    const { page, problems } = await openPage(browser, site.url);
    const answer = await page.evaluate(
      async ([model, picture]) => {
        const { PredictorWorker } = window.api;
        const steps: number[] = [];
        const worker = await PredictorWorker.load(model, { device: 'auto', onProgress: (received) => steps.push(received) });
        const blob = await (await fetch(picture)).blob();
        const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none' });
        const empty = (await worker.memory()).numTensors;
        const found = await worker.predict(bitmap);
        const fault = await worker.predict(new File(['no picture'], 'notes.txt')).catch((error: Error) => error);
        const aborted = await worker.predict(blob, { signal: AbortSignal.timeout(0) }).catch((error: Error) => error.name);
        const tensors = (await worker.memory()).numTensors;
        const { backend } = worker;
        worker.dispose();
        const late = await worker.predict(blob).catch((error: Error) => error.message);
        const wrong = await PredictorWorker.load('/files/nowhere/', { device: 'cpu' }).catch((error: Error) => error);
        return {
          backend,
          steps,
          left: [bitmap.width, tensors - empty],
          fault: fault instanceof window.api.ImageError && fault.message,
          aborted,
          late,
          wrong: wrong instanceof window.api.ConfigError && wrong.message,
          result: {
            boxes: found.instances.flatMap(({ box }) => [...box]),
            scores: found.instances.map(({ score }) => score),
            classes: found.instances.map(({ classIndex }) => classIndex),
            masks: found.toCoco({ imageId: 1 }).map(({ segmentation }) => segmentation!),
          },
        };
      },
      [MODEL, PICTURE] as const,
    );
    expect(differences(answer.result)).toEqual([]);
    expect(answer.backend.device).toBe('wasm');
    expect(answer.backend.skipped.map(({ device }) => device)).toEqual(['webgpu', 'webgl']);
    expect(answer.steps.at(-1)).toBeGreaterThan(100_000);
    expect(answer.left).toEqual([0, 0]);
    expect(answer.fault).toMatch(/'notes.txt' is not an image that this browser can read/);
    expect(answer.aborted).toBe('TimeoutError');
    expect(answer.late).toMatch(/was disposed/);
    expect(answer.wrong).toMatch(/nowhere\/config.yaml: the server answered 404/);
    expect(problems.filter((problem) => !/404/.test(problem))).toEqual([]);
    await page.context().close();
  });

  it('is busy from the call on: of live pictures that come at once the first is taken and the others are dropped', async () => {
    const { page, problems } = await openPage(browser, site.url);
    const answer = await page.evaluate(
      async ([model, picture, quick]) => {
        const { PredictorWorker } = window.api;
        const worker = await PredictorWorker.load(model, quick);
        const bitmap = await createImageBitmap(await (await fetch(picture)).blob());
        const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 120 });
        canvas.getContext('2d')!.drawImage(bitmap, 0, 0, 160, 120);
        const taken: Promise<unknown>[] = [];
        let dropped = 0;
        const idle = worker.busy;
        for (let frame = 0; frame < 5; frame++) {
          if (worker.busy) dropped++;
          else taken.push(worker.predict(canvas));
        }
        await Promise.all(taken);
        const after = worker.busy;
        // An input that cannot be read, and one that cannot be handed over, leave it idle too.
        const spent = await createImageBitmap(canvas);
        spent.close();
        const faults: string[] = [];
        const blank = new OffscreenCanvas(0, 0);
        for (const input of [blank, spent]) await worker.predict(input).catch((error: Error) => faults.push(error.message));
        const idleAgain = !worker.busy;
        worker.dispose();
        return { idle, after, dropped, taken: taken.length, faults, idleAgain };
      },
      [MODEL, PICTURE, QUICK] as const,
    );
    expect(answer).toMatchObject({ idle: false, after: false, dropped: 4, taken: 1, idleAgain: true });
    expect(answer.faults.length).toBe(2);
    expect(answer.faults[0]).toMatch(/OffscreenCanvas shows no picture/);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('takes several pictures as one batch and boxes that are given, and knows the model, as the predictor of the page', async () => {
    const { page, problems } = await openPage(browser, site.url);
    const answer = await page.evaluate(
      async ([model, picture, quick]) => {
        const { Predictor, PredictorWorker } = window.api;
        const here = await Predictor.load(model, { ...quick, scoreThreshold: 0.25 });
        const worker = await PredictorWorker.load(model, { ...quick, scoreThreshold: 0.25 });
        const blob = await (await fetch(picture)).blob();
        const canvas = new OffscreenCanvas(120, 90);
        canvas.getContext('2d')!.fillRect(20, 10, 40, 30);
        const given = [{ box: [10, 12, 90, 80] as const, classIndex: 1, score: 0.75 }, { box: [1.5, 2.5, 40, 50] as const }];
        const answers = [];
        for (const predictor of [here, worker]) {
          const batch = await predictor.predict([blob, canvas]);
          const named = await predictor.predictGiven(blob, given);
          const beyond = await predictor.predictGiven(canvas, [{ box: [0, 0, 500, 1] }]).catch((error: Error) => error.name);
          const { config, classNames, keypointNames, semanticClassNames, device } = predictor;
          const loaded = predictor.loadReport.loaded;
          answers.push({
            sizes: batch.map(({ width, height, length }) => [width, height, length]),
            rows: [...batch, named].map((found) => found.toCoco({ imageId: 1 })),
            named: named.instances.map(({ box, classIndex, score }) => ({ box, classIndex, score })),
            empty: (await predictor.predict([])).length,
            beyond,
            about: { config, classNames, keypointNames, semanticClassNames, loaded, device },
          });
          predictor.dispose();
        }
        return answers;
      },
      [MODEL, PICTURE, QUICK] as const,
    );
    expect(answer[0].sizes[1].slice(0, 2)).toEqual([120, 90]);
    expect(answer[0].sizes[0][2]).toBeGreaterThan(0);
    expect(answer[0].named[0]).toEqual({ box: [10, 12, 90, 80], classIndex: 1, score: 0.75 });
    expect(answer[0].beyond).toBe('ArgumentError');
    expect(answer[0].empty).toBe(0);
    const { ROI_HEADS, RETINANET } = answer[0].about.config.MODEL;
    expect([ROI_HEADS.SCORE_THRESH_TEST, RETINANET.SCORE_THRESH_TEST]).toEqual([0.25, 0.25]);
    expect(answer[1]).toEqual(answer[0]);
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('gives back the frames that it does not come to, and hangs on no message that cannot be read', async () => {
    const { page } = await openPage(browser, site.url);
    const answer = await page.evaluate(
      async ([model, quick]) => {
        const { BackendError, PredictorWorker } = window.api;
        const make = globalThis.createImageBitmap;
        const made: ImageBitmap[] = [];
        globalThis.createImageBitmap = async (...given: unknown[]) => {
          const bitmap = await (make as (...given: unknown[]) => Promise<ImageBitmap>)(...given);
          made.push(bitmap);
          return bitmap;
        };
        const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
        canvas.getContext('2d')!.fillRect(8, 8, 20, 20);
        const reason = (error: Error): string | false => error instanceof BackendError && error.message;
        const first = await PredictorWorker.load(model, quick);
        const late = first.predict(canvas).catch(reason);
        const frame = new VideoFrame(canvas, { timestamp: 0 });
        first.dispose();
        const afterwards = await first.predict(frame).catch(reason);
        const ended = [await late, afterwards];
        const second = await PredictorWorker.load(model, quick);
        const waiting = second.predict(canvas).catch(reason);
        (second as unknown as { worker: Worker }).worker.dispatchEvent(new MessageEvent('messageerror'));
        const unread = [await waiting, await second.predict(canvas).catch(reason)];
        second.dispose();
        const stopped = await PredictorWorker.load(model, quick);
        const stop = new AbortController();
        const aborted = stopped.predict(canvas, { signal: stop.signal }).catch((error: Error) => error.name);
        stop.abort();
        const given = { ...quick, signal: AbortSignal.abort() };
        const names = [await aborted, await PredictorWorker.load(model, given).catch((error: Error) => error.name)];
        stopped.dispose();
        return {
          ended,
          unread,
          names,
          open: made.filter(({ width }) => width > 0).length,
          made: made.length,
          frame: frame.format,
        };
      },
      [MODEL, QUICK] as const,
    );
    for (const message of answer.ended) expect(message).toMatch(/was disposed/);
    for (const message of answer.unread) expect(message).toMatch(/The worker ended: an answer could not be read.*load a new one/);
    expect(answer.names).toEqual(['AbortError', 'AbortError']);
    expect(answer.made).toBe(4);
    expect(answer.open).toBe(0);
    expect(answer.frame).toBeNull();
    await page.context().close();
  });
});
