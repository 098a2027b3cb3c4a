import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder of golden numbers beside the checkout, where it exists; tests that need it skip with that reason elsewhere. */
export function goldenFolder(): string | undefined {
  const folder = fileURLToPath(new URL('../../shared/golden', import.meta.url));
  return existsSync(folder) ? folder : undefined;
}
