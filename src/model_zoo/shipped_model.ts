import { fileURLToPath } from 'node:url';

/** The folder of the small model that comes with the package. */
export function shippedModelFolder(): string {
  return fileURLToPath(new URL('../../weights/emoji', import.meta.url));
}
