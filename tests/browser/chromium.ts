import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The machine's Chromium: `CHROMIUM` names it, else it is looked for on the path. */
export function findChromium(): string | undefined {
  const named = process.env.CHROMIUM;
  if (named) return existsSync(named) ? named : undefined;
  for (const name of NAMES) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    } catch {
      // Not this one.
    }
  }
  return undefined;
}

/** Why browser tests are skipped here, or undefined where they run. In CI they must run. */
export const noChromium: string | undefined = (() => {
  if (findChromium()) return undefined;
  if (process.env.MASKRCNN_REQUIRE_CHROMIUM)
    throw new Error('MASKRCNN_REQUIRE_CHROMIUM is set, but there is no Chromium; install it');
  return 'no Chromium on this machine (set CHROMIUM, or install the package chromium)';
})();

const COMMON = ['--no-sandbox', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'];

/** Switches that give each device a GPU in software. */
const SWITCHES: Record<'webgl' | 'webgpu', string[]> = {
  webgl: ['--use-angle=swiftshader'],
  webgpu: ['--enable-unsafe-webgpu', '--enable-features=Vulkan,WebGPU', '--use-webgpu-adapter=swiftshader'],
};

/** Starts Chromium without a window. @param more switches */
export function launchChromium(gpu: 'webgl' | 'webgpu' = 'webgl', more: string[] = []): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium()!, headless: true, args: [...COMMON, ...SWITCHES[gpu], ...more] });
}

/** Opens a page and collects what must not be there: errors, and warnings of the GPU's validation. @param prepare runs in the page before its own scripts */
export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  prepare?: () => void,
): Promise<{ page: Page; problems: string[] }> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  if (prepare) await page.addInitScript(prepare);
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(`page error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || /validation/i.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  await page.goto(url);
  return { page, problems };
}
