import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldenFolder } from '../golden_folder.js';
import { CaseView, type OpsCase } from '../golden/ops/case_view.js';
import { SafetensorsFile } from '../golden/safetensors_file.js';

/** A recorded case with its name, and the stored tensors of the whole file. */
export interface GoldenCase {
  name: string;
  view: CaseView;
  file: SafetensorsFile;
}

/** The recorded cases of an operation; none where the goldens are absent, so that the tests over them are skipped. */
export function goldenCases(operation: string): GoldenCase[] {
  const folder = goldenFolder();
  if (!folder) return [];
  const { cases } = JSON.parse(readFileSync(join(folder, 'ops', `${operation}.json`), 'utf8')) as { cases: OpsCase[] };
  const file = new SafetensorsFile(join(folder, 'ops', `${operation}.safetensors`));
  return cases.map(({ name }, index) => ({ name, view: new CaseView(cases, index, file), file }));
}
