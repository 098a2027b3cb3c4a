import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { formatError } from './format_error.js';

/** Where a command line writes; standard output and error unless a test passes others. */
export interface CommandLineOutput {
  out: (text: string) => void;
  err: (text: string) => void;
}

/** The program with all of its commands. Each command's file registers options only; what is heavy is imported by its action. */
export async function buildProgram(): Promise<Command> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const program = new Command('maskrcnn')
    .description("Mask R-CNN on TensorFlow.js: Detectron2's models, weights and numbers")
    .version(version)
    .showHelpAfterError('(run with --help for the options)');
  const commands = await Promise.all([
    import('./predict.js'),
    import('./train.js'),
    import('./evaluate.js'),
    import('./merge.js'),
    import('./convert.js'),
    import('./dataset.js'),
    import('./info.js'),
    import('./doctor.js'),
    import('./setup.js'),
  ]);
  for (const { register } of commands) register(program);
  return program;
}

/**
 * Runs one command line.
 *
 * @param args the arguments after `maskrcnn`.
 * @returns the exit code: 0 only when the command did what was asked. A command that finished in part sets `process.exitCode` itself.
 */
export async function runCommandLine(args: string[], output: CommandLineOutput = consoleOutput): Promise<number> {
  const json = args.includes('--json');
  const program = await buildProgram();
  for (const command of [program, ...program.commands, ...program.commands.flatMap((c) => c.commands)]) {
    command.exitOverride().configureOutput({
      writeOut: output.out,
      writeErr: output.err,
      // With --json the message is printed once, below, as JSON.
      outputError: (text, write) => {
        if (!json) write(text);
      },
    });
    if (json) command.showHelpAfterError(false);
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      if (json && error.code !== 'commander.help')
        output.out(`${JSON.stringify({ error: error.message.replace(/^error: /, '') })}\n`);
      return error.exitCode;
    }
    const debug = process.env.MASKRCNN_DEBUG === '1';
    if (json) output.out(`${JSON.stringify({ error: formatError(error, false) })}\n`);
    if (!json || debug) output.err(`error: ${formatError(error, debug)}\n`);
    return 1;
  }
}

const consoleOutput: CommandLineOutput = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};
