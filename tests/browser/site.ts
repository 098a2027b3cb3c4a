import { createReadStream, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const repository = fileURLToPath(new URL('../../', import.meta.url));

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

export interface Site {
  url: string;
  /** Where the bundle lies. */
  folder: string;
  /** The names of its assets. */
  assets: string[];
  /** What the bundler warned of. */
  warnings: string[];
  /** The paths that were asked for until now. */
  requested: string[];
  close(): Promise<void>;
}

interface Bundle {
  folder: string;
  warnings: string[];
}

/** Where the bundles of a run lie, so that its files share them (site_folder.ts). */
const sites = process.env.MASKRCNN_TEST_SITES!;

/** Bundles a page with Vite as it comes, once. */
async function bundle(root: string): Promise<Bundle> {
  const folder = join(sites, root.replaceAll('/', '_'));
  const record = `${folder}.json`;
  if (existsSync(record)) return { folder, warnings: JSON.parse(readFileSync(record, 'utf8')) as string[] };
  const warnings: string[] = [];
  await build({
    root: join(repository, root),
    configFile: false,
    logLevel: 'warn',
    build: { outDir: folder, emptyOutDir: true },
    customLogger: {
      info: () => undefined,
      warn: (message) => warnings.push(message),
      warnOnce: (message) => warnings.push(message),
      error: (message) => warnings.push(message),
      clearScreen: () => undefined,
      hasErrorLogged: () => false,
      hasWarned: false,
    },
  });
  writeFileSync(record, JSON.stringify(warnings));
  return { folder, warnings };
}

export interface SiteOptions {
  golden?: string | undefined;
  /** Whether its pages may share memory between threads. */
  isolated?: boolean;
}

const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** Bundles a page with Vite, and serves it with the repository's files under `/files/` and the golden numbers under `/golden/`. */
export async function serveBuilt(root: string, options: SiteOptions = {}): Promise<Site> {
  const { folder, warnings } = await bundle(root);
  const requested: string[] = [];
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://localhost').pathname));
    requested.push(path);
    const [, first] = path.split('/');
    const file =
      first === 'files'
        ? join(repository, path.slice(7))
        : first === 'golden'
          ? join(options.golden ?? folder, path.slice(8))
          : join(folder, path.endsWith('/') ? `${path}index.html` : path);
    if (!existsSync(file) || !statSync(file).isFile()) return void response.writeHead(404).end();
    response.writeHead(200, {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'content-length': statSync(file).size,
      // So that a page asks for everything that it takes.
      'cache-control': 'no-store',
      ...(options.isolated && ISOLATED),
    });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    folder,
    assets: readdirSync(join(folder, 'assets')),
    warnings,
    requested,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
