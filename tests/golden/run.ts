import { pathToFileURL } from 'node:url';
import { Command, Option } from 'commander';
import { unsupported } from './compare.js';
import { DATA } from './data/index.js';
import { discover, shortName, type Found } from './discover.js';
import { Report } from './report.js';
import { runOps, type Only } from './ops/run_ops.js';
import { NOT_YET } from './unsupported.js';

export interface GoldenOptions {
  backend?: string;
  only?: Only;
  json?: boolean;
  /** Where lines go; standard output by default. */
  write?: (text: string) => void;
}

/** Runs every case under the folders; returns the exit code, 1 when a case failed. */
export async function runGolden(folders: string[], options: GoldenOptions = {}): Promise<number> {
  const report = new Report(options.json ?? false, options.write);
  const found = discover(folders);
  if (found.some((f) => f.kind !== 'data' || f.format === 'solver')) {
    const { startBackend } = await import('../../src/backends/select.js');
    await startBackend((options.backend ?? 'auto') as Parameters<typeof startBackend>[0]);
    // Registers the gradients of the stock kernels.
    await import('@tensorflow/tfjs-layers');
    // The recorded sums of hundreds of float32 terms carry the roundings of their order, which a GPU's atomics do not keep.
    const { env } = await import('@tensorflow/tfjs-core');
    await import('../../src/ops/determinism.js');
    env().set('MASKRCNN_DETERMINISTIC', true);
  }
  for (const entry of found) {
    try {
      await runFound(entry, options.only, report);
    } catch (error) {
      const note = error instanceof Error ? error.message : String(error);
      report.add({ case: `${entry.kind}/${shortName(entry.path)}`, name: '*', ok: false, note });
    }
  }
  return report.finish();
}

async function runFound(entry: Found, only: Only, report: Report): Promise<void> {
  const add = report.add.bind(report);
  if (entry.kind === 'ops') return runOps(entry.path, entry.op, only, add);
  if (entry.kind === 'model') {
    const { runModel } = await import('./models/run_model.js');
    return runModel(entry.path, only, add);
  }
  const load = DATA[entry.format];
  if (!load) return add(unsupported(shortName(entry.path), '*', NOT_YET));
  const run = await load();
  return run(entry.path, shortName(entry.path), add);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const program = new Command('golden')
    .description('Compares the project with golden numbers of Detectron2.')
    .argument('<folder...>', 'folders (or ops files) to search for cases')
    .option('--backend <name>', 'backend that runs the maths', 'auto')
    .addOption(new Option('--only <part>', 'run only this part').choices(['inference', 'training']))
    .option('--json', 'one JSON object a line')
    .action(async (folders: string[], options: GoldenOptions) => {
      try {
        process.exitCode = await runGolden(folders, options);
      } catch (error) {
        process.stderr.write(`golden: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exitCode = 1;
      }
    });
  await program.parseAsync();
}
