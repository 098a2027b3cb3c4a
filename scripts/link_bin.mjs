// Makes `npx maskrcnn` work in a checkout: npm links the bin of an installed package, not that of the project itself.
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const main = join('dist', 'cli', 'main.js');
const folder = join('node_modules', '.bin');
if (existsSync(main)) {
  chmodSync(main, 0o755);
  mkdirSync(folder, { recursive: true });
  const link = join(folder, 'maskrcnn');
  rmSync(link, { force: true });
  if (process.platform === 'win32') writeFileSync(`${link}.cmd`, `@node "%~dp0\\..\\..\\${main}" %*\r\n`);
  else symlinkSync(join('..', '..', main), link);
}
