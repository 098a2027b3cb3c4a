import type { Command } from 'commander';
import type { MachineFacts } from '../backends/describe.js';

/** `maskrcnn doctor`: what works on this machine, what does not, why, and the command that fixes it. */
export function register(program: Command): void {
  program
    .command('doctor')
    .description('say what works on this machine, what does not, why, and the one command that fixes it')
    .option('--json', 'print the facts as JSON')
    .action(async (flags: { json?: boolean }) => {
      const { describeMachine } = await import('../backends/describe.js');
      const facts = await describeMachine();
      process.stdout.write(flags.json ? `${JSON.stringify(facts, undefined, 2)}\n` : formatFacts(facts));
      // Nothing to compute on, or a Node that we do not support: the answer to "does it work here" is no.
      if (facts.auto === undefined || !facts.nodeSupported) process.exitCode = 1;
    });
}

/** The facts in plain words. */
export function formatFacts(facts: MachineFacts): string {
  const lines = [
    `Node ${facts.node}${facts.nodeSupported ? '' : ' - too old: 20.9 or newer is needed'}, ${facts.platform}, ${facts.cpus} CPU cores, ` +
      `${facts.memoryGiB.total.toFixed(1)} GiB memory (${facts.memoryGiB.free.toFixed(1)} free)`,
    facts.tfjsCore
      ? `TensorFlow.js ${facts.tfjsCore.version} (${facts.tfjsCore.path})`
      : 'TensorFlow.js is not installed. Run `npm install`.',
    '',
  ];
  for (const d of facts.devices) {
    const speed = d.gflops === undefined ? '' : `; ${d.gflops.toFixed(d.gflops < 10 ? 1 : 0)} GFLOP/s in a 3x3 convolution`;
    lines.push(`${d.works ? 'ok ' : 'no '} ${d.device.padEnd(10)} ${d.description}${speed}`);
    if (d.fix) lines.push(`${' '.repeat(15)}fix: ${d.fix}`);
  }
  lines.push('', facts.auto ? `--device auto takes ${facts.auto} here.` : 'No device works here.');
  return `${lines.join('\n')}\n`;
}
