import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { unsupported, type Line } from '../compare.js';
import { SafetensorsFile } from '../safetensors_file.js';
import { NOT_YET } from '../unsupported.js';
import { CaseView, type OpsCase } from './case_view.js';
import { OPS } from './index.js';
import { type Only, runCase } from './run_case.js';

export type { Only } from './run_case.js';

/** Runs all cases of one ops file. */
export async function runOps(path: string, op: string, only: Only, add: (line: Line) => void): Promise<void> {
  const json = JSON.parse(readFileSync(path, 'utf8')) as { file?: string | null; cases: OpsCase[] };
  const tensorPath = json.file ? join(dirname(path), json.file) : undefined;
  const file = tensorPath && existsSync(tensorPath) ? new SafetensorsFile(tensorPath) : undefined;
  const load = OPS[op];
  if (!load) {
    for (const c of json.cases) add(unsupported(`ops/${op}/${c.name}`, '*', NOT_YET));
    return;
  }
  const adapter = await load();
  for (let i = 0; i < json.cases.length; i++) {
    const view = new CaseView(json.cases, i, file);
    await runCase(`ops/${op}/${view.golden.name}`, view, adapter, only, add);
  }
}
