import type { Command } from 'commander';

/** `maskrcnn info`: what the zoo holds, what a configuration or a key says, what a weight file holds, which devices work. */
export function register(program: Command): void {
  program
    .command('info')
    .description('show the model zoo, a configuration, a configuration key, a weight file or the devices')
    .argument('<what>', 'zoo, backends, a model-zoo name, a YAML file, a key such as MODEL.RPN, or a weight file')
    .argument('[overrides...]', 'KEY=VALUE over a configuration')
    .option('--verify', 'with zoo: give every downloaded weight file to its model, tensor by tensor, and say what does not fit')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      "\nzoo: RUNS HERE is yes where the model's configuration is built here with the names and shapes of all tensors that Detectron2's own has, so that\n" +
        'its published weights load whole; else it says what is missing.',
    )
    .action(async (what: string, overrides: string[], flags: { json?: boolean; verify?: boolean }) => {
      const { describe } = await import('./info_reports.js');
      const { text, json, warnings } = await describe(what, overrides, flags);
      for (const warning of warnings ?? []) console.error(`warning: ${warning}`);
      process.stdout.write(flags.json ? `${JSON.stringify(json, null, 2)}\n` : text);
    });
}
