import type { Command } from 'commander';
import type { SetupProgress } from '../backends/setup.js';

interface SetupFlags {
  gpu?: boolean;
  yes?: boolean;
  json?: boolean;
}

/** `maskrcnn setup`: a fast native backend in one command. */
export function register(program: Command): void {
  program
    .command('setup')
    .description('give this machine the fast native backend (libtensorflow); says what it downloads, and asks')
    .option('--gpu', 'the build for NVIDIA GPUs, with its CUDA libraries')
    .option('--yes', 'do not ask')
    .option('--json', 'print the outcome as JSON (with --yes)')
    .action(async (flags: SetupFlags) => {
      const { setupNative } = await import('../backends/setup.js');
      const report = await setupNative({
        gpu: flags.gpu,
        progress: await barProgress(),
        confirm: (plan) => confirm(plan, flags.yes ?? false),
      });
      if (flags.json) {
        process.stdout.write(`${JSON.stringify(report)}\n`);
        return;
      }
      const how = {
        'already installed': 'Already installed',
        'prebuilt archive': 'Installed from the prebuilt archive',
        'python wheel': 'Built against the Python wheel',
      };
      process.stdout.write(
        `${how[report.how]}: ${report.description}; ${report.gflops.toFixed(0)} GFLOP/s in a 3x3 convolution, numbers checked.\n`,
      );
    });
}

async function confirm(plan: string, yes: boolean): Promise<boolean> {
  process.stderr.write(`${plan}\n`);
  if (yes) return true;
  // Nobody can answer: not agreed.
  if (!process.stdin.isTTY) return false;
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^(y|yes|j|ja)$/i.test((await lines.question('Go on? [y/N] ')).trim());
  } finally {
    lines.close();
  }
}

/** A bar for each part on a terminal, a line for each part elsewhere; always on standard error. */
async function barProgress(): Promise<SetupProgress> {
  const { SingleBar } = await import('cli-progress');
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  return {
    say,
    async step(name, unit, work) {
      if (!process.stderr.isTTY || unit === '') {
        const start = Date.now();
        say(`${name} ...`);
        const result = await work(() => undefined);
        say(`${name}: done in ${((Date.now() - start) / 1000).toFixed(1)} s`);
        return result;
      }
      const bar = new SingleBar({
        format: `${name} {bar} {percentage}% {value}/{total} ${unit}`,
        stream: process.stderr,
        hideCursor: true,
      });
      bar.start(1, 0);
      try {
        return await work((done, total) => {
          bar.setTotal(Math.round(total));
          bar.update(Math.round(done));
        });
      } finally {
        bar.stop();
      }
    },
  };
}
