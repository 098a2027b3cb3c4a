// Bundles a page of an installed package with Vite as it comes, opens it in Chromium and waits until its title says what it found.
// Arguments: the page's folder, and the title that is expected.
import { execFileSync } from 'node:child_process';
import { chromium } from 'playwright-core';
import { build, preview } from 'vite';

const [root, expected] = process.argv.slice(2);

await build({ root, configFile: false, logLevel: 'error' });
const executablePath = findChromium();
if (!executablePath) {
  if (process.env.MASKRCNN_REQUIRE_CHROMIUM)
    throw new Error('MASKRCNN_REQUIRE_CHROMIUM is set, but there is no Chromium; install it');
  console.log('the page is bundled, but not opened: no Chromium on this machine (set CHROMIUM, or install the package chromium)');
  process.exit();
}
const server = await preview({ root, configFile: false, logLevel: 'error', preview: { port: 0 } });
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  await page.goto(server.resolvedUrls.local[0]);
  await page.waitForFunction("document.title !== 'loading'", undefined, { timeout: 120_000 });
  const title = await page.title();
  console.log(`the page says: ${title}`);
  if (title !== expected || problems.length > 0) throw new Error(`expected '${expected}' and no problem: ${problems.join('; ')}`);
} finally {
  await browser.close();
  await server.close();
}

function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  try {
    return execFileSync('which', ['chromium'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}
