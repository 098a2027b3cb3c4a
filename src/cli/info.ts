import type { Command } from 'commander';

/** `maskrcnn info`: what the zoo holds, what a configuration or a key says, what a weight file holds, which devices work. */
export function register(program: Command): void {
  program
    .command('info')
    .description('show the model zoo, a configuration, a configuration key, a weight file or the devices')
    .argument('<what>', 'zoo, backends, a model-zoo name, a YAML file, a key such as MODEL.RPN, or a weight file')
    .argument('[overrides...]', 'KEY=VALUE over a configuration')
    .option('--json', 'print JSON')
    .action(async (what: string, overrides: string[], flags: { json?: boolean }) => {
      const { describe } = await import('./info_reports.js');
      const { text, json, warnings } = await describe(what, overrides);
      for (const warning of warnings ?? []) console.error(`warning: ${warning}`);
      process.stdout.write(flags.json ? `${JSON.stringify(json, null, 2)}\n` : text);
    });
}
