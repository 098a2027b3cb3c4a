import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium, noChromium, openPage } from './chromium.js';
import { serveBuilt, type Site } from './site.js';
import type {} from './page/main.js';

const PICTURE = '/files/tests/fixtures/mask_rcnn_R_18_FPN/inputs/0.png';
const MODEL = '/files/tests/fixtures/mask_rcnn_R_18_FPN/model/';
/** Small, with few regions: a software driver is slow. */
const SMALL = ['INPUT.MIN_SIZE_TEST=64', 'MODEL.RPN.POST_NMS_TOPK_TEST=40'];

describe.skipIf(noChromium)(`a GPU that fails, in Chromium${noChromium ? `: ${noChromium}` : ''}`, () => {
  let site: Site;
  const browsers: Browser[] = [];
  beforeAll(async () => {
    site = await serveBuilt('tests/browser/page');
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

  describe('a program that the driver refuses', () => {
    it('is a clear error on webgl; the predictor can be disposed of and made anew', async () => {
      const { page } = await openPage(await launch('webgl'), site.url);
      const answer = await page.evaluate(
        async ([model, picture]) => {
          const { Predictor, BackendError, tf } = window.api;
          const blob = await (await fetch(picture)).blob();
          const options = { device: 'webgl', overrides: ['INPUT.MIN_SIZE_TEST=64', 'MODEL.RPN.POST_NMS_TOPK_TEST=40'] } as const;
          const predictor = await Predictor.load(model, options);
          const { gl } = (tf.backend() as unknown as { gpgpu: { gl: WebGL2RenderingContext } }).gpgpu;
          const ask = gl.getShaderParameter.bind(gl);
          gl.getShaderParameter = (shader, what) => (what === gl.COMPILE_STATUS ? false : (ask(shader, what) as unknown));
          const refused: unknown = await predictor.predict(blob).catch((error: unknown) => error);
          gl.getShaderParameter = ask;
          predictor.dispose();
          const left = tf.memory().numTensors;
          const anew = await Predictor.load(model, options);
          const found = (await anew.predict(blob)).length;
          anew.dispose();
          return { refused: refused instanceof BackendError && refused.message, left, found };
        },
        [MODEL, PICTURE] as const,
      );
      expect(answer.refused).toMatch(
        /device webgl: the GPU's driver refused a program or a texture \(Failed to compile.*take wasm/,
      );
      expect(answer.left).toBe(0);
      expect(answer.found).toBeGreaterThan(0);
      await page.context().close();
    });

    it('is a clear error on webgpu, once', async () => {
      const { page } = await openPage(await launch('webgpu'), site.url);
      const messages = await page.evaluate(
        async ([model, picture]) => {
          const { Predictor, BackendError, tf } = window.api;
          const blob = await (await fetch(picture)).blob();
          const options = { device: 'webgpu', overrides: ['INPUT.MIN_SIZE_TEST=64', 'MODEL.RPN.POST_NMS_TOPK_TEST=40'] } as const;
          const failures: (string | false)[] = [];
          for (const spoil of [
            (device: GPUDevice) => device.createShaderModule({ code: 'fn broken(' }),
            (device: GPUDevice) => device.createBuffer({ size: 2 ** 45, usage: 128 }),
            (device: GPUDevice) => device.destroy(),
          ]) {
            const predictor = await Predictor.load(model, options);
            spoil((tf.backend() as unknown as { device: GPUDevice }).device);
            const error: unknown = await predictor.predict(blob).catch((error: unknown) => error);
            failures.push(error instanceof BackendError && error.message);
            predictor.dispose();
          }
          const anew = await Predictor.load(model, options);
          const found = (await anew.predict(blob)).length;
          anew.dispose();
          return { failures, found };
        },
        [MODEL, PICTURE] as const,
      );
      expect(messages.failures[0]).toMatch(/device webgpu: the GPU reported an error.*parsing WGSL/);
      expect(messages.failures[1]).toMatch(/device webgpu: the GPU reported an error.*out of memory, take smaller images/);
      expect(messages.failures[2]).toMatch(/device webgpu: the GPU device was lost.*load a new one/);
      expect(messages.found).toBeGreaterThan(0);
      await page.context().close();
    });
  });

  describe('a lost WebGL context', () => {
    it('is a clear error, at once, and a new predictor works', async () => {
      const browser = await launch('webgl');
      const { page } = await openPage(browser, site.url);
      const answer = await page.evaluate(
        async ([model, picture]) => {
          const { Predictor, tf } = window.api;
          const blob = await (await fetch(picture)).blob();
          const predictor = await Predictor.load(model, { device: 'webgl' });
          const { gl } = (tf.backend() as unknown as { gpgpu: { gl: WebGL2RenderingContext } }).gpgpu;
          const running = predictor.predict(blob).catch((error: Error) => error.message);
          setTimeout(() => gl.getExtension('WEBGL_lose_context')!.loseContext(), 300);
          const during = await running;
          const after = await predictor.predict(blob).catch((error: Error) => error.message);
          predictor.dispose();
          const anew = await Predictor.load(model, { device: 'webgl' });
          return { during, after, found: (await anew.predict(blob)).length };
        },
        [MODEL, PICTURE] as const,
      );
      expect(answer.during).toMatch(/device webgl: the browser took the GPU away/);
      expect(answer.after).toMatch(/device webgl: the browser took the GPU away/);
      expect(answer.found).toBe(14);
    });
  });

  describe('a texture for which there is no memory', () => {
    it('is a clear error on webgl; smaller pictures go on, and so does a predictor that is made anew', async () => {
      const { page, problems } = await openPage(await launch('webgl'), site.url);
      const answer = await page.evaluate(
        async ([model, picture, overrides]) => {
          const { Predictor, BackendError, tf } = window.api;
          const blob = await (await fetch(picture)).blob();
          const options = { device: 'webgl', overrides } as const;
          const predictor = await Predictor.load(model, options);
          const { gl } = (tf.backend() as unknown as { gpgpu: { gl: WebGL2RenderingContext } }).gpgpu;
          const store = gl.texStorage2D.bind(gl);
          let refused = 0;
          // What the driver answers to a texture that is too large for any memory.
          const raised: number[] = [];
          const ask = gl.getError.bind(gl);
          gl.texStorage2D = (target, levels, format, width, height) => {
            if (width * height < 20_000) return store(target, levels, format, width, height);
            refused++;
            raised.push(gl.OUT_OF_MEMORY);
          };
          gl.getError = () => raised.shift() ?? ask();
          const error: unknown = await predictor.predict(blob).catch((error: unknown) => error);
          Object.assign(gl, { texStorage2D: store, getError: ask });
          const again = (await predictor.predict(blob)).length;
          predictor.dispose();
          const left = tf.memory().numTensors;
          const anew = await Predictor.load(model, options);
          const found = (await anew.predict(blob)).length;
          anew.dispose();
          return { message: error instanceof BackendError && error.message, refused, again, left, found };
        },
        [MODEL, PICTURE, SMALL] as const,
      );
      expect(answer.message).toMatch(/^device webgl: the GPU has no memory left for a texture of \d+ x \d+\..*take wasm/);
      // Once more after what was kept for later has been given back.
      expect(answer.refused).toBe(2);
      expect(answer.again).toBeGreaterThan(0);
      expect(answer.left).toBe(0);
      expect(answer.found).toBe(answer.again);
      expect(problems).toEqual([]);
      await page.context().close();
    });
  });

  describe.each(['webgl', 'webgpu'] as const)('the GPU process of %s that crashes under a worker', (device) => {
    it('is a clear error, at once and afterwards, and a new worker works', async () => {
      const browser = await launch(device);
      const { page } = await openPage(browser, site.url);
      const session = await browser.newBrowserCDPSession();
      await page.exposeFunction('crashGpu', () => session.send('Browser.crashGpuProcess').catch(() => undefined));
      const answer = await page.evaluate(
        async ([device, model, picture, overrides]) => {
          const { PredictorWorker, BackendError } = window.api;
          const blob = await (await fetch(picture)).blob();
          const options = { device, overrides } as const;
          const said = (error: unknown): string | false => error instanceof BackendError && error.message;
          const worker = await PredictorWorker.load(model, options);
          const running = worker.predict(blob).then(() => false as const, said);
          setTimeout(() => void (window as unknown as { crashGpu(): Promise<void> }).crashGpu(), 100);
          const during = await running;
          const after = await worker.predict(blob).then(() => false as const, said);
          worker.dispose();
          const anew = await PredictorWorker.load(model, options);
          const found = (await anew.predict(blob)).length;
          anew.dispose();
          return { during, after, found };
        },
        [device, MODEL, PICTURE, SMALL] as const,
      );
      const message = {
        webgl: /^device webgl: the browser took the GPU away.*load a new one/,
        webgpu: /^device webgpu: the GPU device was lost.*load a new one/,
      }[device];
      // A WebGL program may fail to compile before the browser says that the context is gone.
      expect(answer.during).toMatch(device === 'webgl' ? /^device webgl: / : message);
      expect(answer.after).toMatch(message);
      expect(answer.found).toBeGreaterThan(0);
      await page.context().close();
    });
  });
});
