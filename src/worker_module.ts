import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/**
 * The file that a thread runs, beside the file that starts it.
 * @param name without extension
 * @param base the starting file's `import.meta.url`
 */
export function workerModule(name: string, base: string): URL {
  if (!base.endsWith('.ts')) return new URL(`./${name}.js`, base);
  // From the sources (tests) the thread needs the same translator as we have, and takes it only from its own code.
  const translator = pathToFileURL(
    createRequire(import.meta.url)
      .resolve('tsx/esm/api')
      .replace(/\.cjs$/, '.mjs'),
  ).href;
  const worker = new URL(`./${name}.ts`, base).href;
  const code = `import { register } from '${translator}'; register(); await import('${worker}');`;
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
