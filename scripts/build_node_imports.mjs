// After tsc: lets the built files take TensorFlow.js in Node through `require`. An `import` of its CommonJS bundles makes Node read them for the names of
// their exports first, 4 MB of source in a pure JavaScript lexer: a fifth of the time from the start of the process to the first result.
// package.json's "imports" leads Node to the files made here, and bundlers to the packages themselves.
import { readdirSync, readFileSync, writeFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGES = ['tfjs-core', 'tfjs-layers', 'tfjs-backend-cpu', 'tfjs-backend-wasm'];
const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const require = createRequire(import.meta.url);

mkdirSync(join(dist, 'node_imports'), { recursive: true });
for (const name of PACKAGES) {
  // TensorFlow.js greets on its first start.
  const names = Object.keys(require(`@tensorflow/${name}`)).filter((key) => /^[A-Za-z_$][\w$]*$/.test(key) && key !== 'default');
  const text = [
    "import { createRequire } from 'node:module';",
    `const loaded = createRequire(import.meta.url)('@tensorflow/${name}');`,
    'export default loaded;',
    `export const { ${names.join(', ')} } = loaded;`,
    '',
  ].join('\n');
  writeFileSync(join(dist, 'node_imports', `${name}.js`), text);
}

const specifier = new RegExp(`((?:from |import |import\\()')@tensorflow/(${PACKAGES.join('|')})'`, 'g');
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.js')) continue;
  const path = join(entry.parentPath, entry.name);
  const before = readFileSync(path, 'utf8');
  const after = before.replace(specifier, "$1#$2'");
  if (after !== before) writeFileSync(path, after);
}
