import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for the bundles that the test files of a run share: to make one takes a quarter of a minute. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'maskrcnn-sites-'));
  process.env.MASKRCNN_TEST_SITES = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
