import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, noChromium, openPage } from './chromium.js';
import { serveBuilt, type Site } from './site.js';
import type {} from './page/main.js';

const PICTURE = '/files/tests/fixtures/mask_rcnn_R_18_FPN/inputs/0.png';
const MODEL = '/files/tests/fixtures/mask_rcnn_R_18_FPN/model/';
const QUICK = { device: 'wasm', overrides: ['INPUT.MIN_SIZE_TEST=64', 'MODEL.RPN.POST_NMS_TOPK_TEST=40'] } as const;

/** What the page gives, and how far its pixels may be from the file's: a video's colours are stored at half the size. */
const INPUTS: Record<string, number> = {
  File: 0,
  Blob: 0,
  bytes: 0,
  ArrayBuffer: 0,
  address: 0,
  URL: 0,
  ImageData: 0,
  'RGB pixels': 0,
  tensor: 0,
  canvas: 0,
  OffscreenCanvas: 0,
  ImageBitmap: 0,
  VideoFrame: 0,
  '<img>': 0,
  '<video>': 40,
};

describe.skipIf(noChromium)(`pictures in Chromium${noChromium ? `: ${noChromium}` : ''}`, () => {
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

  it.each(['Predictor', 'PredictorWorker'] as const)('of every kind are read as the same pixels by %s', async (kind) => {
    const { page, problems } = await openPage(browser, site.url);
    const { found, reference } = await page.evaluate(
      async ([kind, model, picture, quick]) => {
        const { maxDifference, startBackend, tf } = window.api;
        const predictor = await window.api[kind].load(model, quick);
        const file = await (await fetch(picture)).blob();
        const plain = { colorSpaceConversion: 'none' } as const;
        const bitmap = await createImageBitmap(file, plain);
        const { width, height } = bitmap;
        const canvas = Object.assign(document.createElement('canvas'), { width, height });
        const context = canvas.getContext('2d', { willReadFrequently: true })!;
        context.drawImage(bitmap, 0, 0);
        const offscreen = new OffscreenCanvas(width, height);
        offscreen.getContext('2d', { willReadFrequently: true })!.drawImage(bitmap, 0, 0);
        const pixels = context.getImageData(0, 0, width, height);
        const rgb = Uint8Array.from({ length: width * height * 3 }, (_, i) => pixels.data[4 * Math.floor(i / 3) + (i % 3)]);
        const img = Object.assign(new Image(), { src: picture });
        if (kind === 'PredictorWorker') await startBackend('cpu');
        const tensor = tf.tensor3d(rgb, [height, width, 3], 'int32');
        const video = Object.assign(document.createElement('video'), { muted: true, srcObject: canvas.captureStream(30) });
        document.body.append(video);
        const ticking = setInterval(() => context.drawImage(bitmap, 0, 0), 20);
        await video.play();
        await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
        const inputs = {
          File: new File([file], '0.png'),
          Blob: file,
          bytes: new Uint8Array(await file.arrayBuffer()),
          ArrayBuffer: await file.arrayBuffer(),
          address: picture,
          URL: new URL(picture, location.href),
          ImageData: pixels,
          'RGB pixels': { data: rgb, width, height },
          tensor: tensor,
          canvas: canvas,
          OffscreenCanvas: offscreen,
          ImageBitmap: await createImageBitmap(file, plain),
          VideoFrame: new VideoFrame(offscreen, { timestamp: 0 }),
          '<img>': img,
          '<video>': video,
        };
        const found: Record<string, { size: number[]; difference: number; boxes: number }> = {};
        for (const [name, input] of Object.entries(inputs)) {
          const result = await predictor.predict(input);
          const { image } = result;
          found[name] = { size: [image.width, image.height], difference: maxDifference(image.data, rgb), boxes: result.length };
        }
        clearInterval(ticking);
        tensor.dispose();
        predictor.dispose();
        return { found, reference: { size: [width, height], boxes: found['File'].boxes } };
      },
      [kind, MODEL, PICTURE, QUICK] as const,
    );
    expect(Object.keys(found)).toEqual(Object.keys(INPUTS));
    for (const [name, { size, difference, boxes }] of Object.entries(found)) {
      expect.soft(size, name).toEqual(reference.size);
      expect.soft(difference, name).toBeLessThanOrEqual(INPUTS[name]);
      if (INPUTS[name] === 0) expect.soft(boxes, name).toBe(reference.boxes);
    }
    expect(problems).toEqual([]);
    await page.context().close();
  });

  it('that cannot be read are an error that says why, and a device is given back whole', async () => {
    const { page } = await openPage(browser, site.url);
    const { messages, left, running } = await page.evaluate(
      async ([model, quick]) => {
        const { ImageError, Predictor, releaseBackend, startBackend, tf } = window.api;
        const predictor = await Predictor.load(model, quick);
        const messages: unknown[] = [];
        const inputs = [
          document.createElement('video'),
          new Image(),
          new Blob([]),
          new Uint8Array([1, 2, 3]),
          '/files/nowhere.png',
          new OffscreenCanvas(0, 3),
        ];
        for (const input of inputs)
          await predictor.predict(input).catch((error: unknown) => messages.push(error instanceof ImageError && error.message));
        await predictor
          .predict({ data: new Uint8Array(7), width: 2, height: 2 })
          .catch((error: Error) => messages.push(error.message));
        const { device } = predictor;
        predictor.dispose();
        const left = tf.memory().numTensors;
        releaseBackend(device);
        const running = Object.keys(tf.engine().registry);
        await startBackend(device);
        return { messages, left, running };
      },
      [MODEL, QUICK] as const,
    );
    expect(messages).toEqual([
      expect.stringMatching(/HTMLVideoElement shows no picture \(yet\)/),
      expect.stringMatching(/HTMLImageElement shows no picture \(yet\)/),
      expect.stringMatching(/image \(0 bytes\) is empty/),
      expect.stringMatching(/image \(3 bytes\) is not an image that this browser can read/),
      expect.stringMatching(/nowhere.png answered 404/),
      expect.stringMatching(/OffscreenCanvas shows no picture/),
      expect.stringMatching(/Pixels of 2x2 have 7 samples; expected 12 \(RGB\) or 16 \(RGBA\)/),
    ]);
    expect(left).toBe(0);
    expect(running).not.toContain('wasm');
    await page.context().close();
  });
});
