import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { formatError } from '../../src/cli/format_error.js';
import { buildProgram, runCommandLine } from '../../src/cli/program.js';
import { BackendError } from '../../src/errors.js';
import { runMain } from './run_main.js';

/** Runs a command line in this process and collects what it printed. */
async function run(...args: string[]) {
  let [out, err] = ['', ''];
  const code = await runCommandLine(args, { out: (text) => void (out += text), err: (text) => void (err += text) });
  return { code, out, err };
}

describe('maskrcnn', () => {
  it('lists its commands', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    for (const name of ['predict', 'evaluate', 'convert', 'info', 'doctor', 'setup']) expect(out).toContain(`  ${name} `);
  });

  it('has --help and --json for each command', async () => {
    const program = await buildProgram();
    for (const command of program.commands) {
      expect((await run(command.name(), '--help')).code, command.name()).toBe(0);
      const own = [command, ...command.commands].flatMap((c) => c.options.map((o) => o.long));
      expect(own, command.name()).toContain('--json');
    }
  });

  it('loads nothing heavy for its help', async () => {
    const { code, out } = await runMain(['--help'], { NODE_DEBUG: '' });
    expect(code).toBe(0);
    expect(out).toContain('Usage: maskrcnn');
    await buildProgram();
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    expect(loaded.filter((file) => /tfjs|sharp|yauzl/.test(file))).toEqual([]);
  });

  it('prints its version', async () => {
    expect((await run('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('refuses an unknown option with code 1, as text and as JSON', async () => {
    const text = await run('doctor', '--fast');
    expect(text.code).toBe(1);
    expect(text.err).toContain("error: unknown option '--fast'");
    const json = await run('doctor', '--fast', '--json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.out)).toEqual({ error: "unknown option '--fast'" });
    expect(json.err).toBe('');
  });

  it('suggests the nearest command', async () => {
    const { code, err } = await run('docter');
    expect(code).toBe(1);
    expect(err).toContain('Did you mean doctor?');
  });
});

describe('formatError', () => {
  it('prints our own errors in one line', () => {
    expect(formatError(new BackendError('a\n  b'), false)).toBe('a b');
  });

  it('marks others and shows their stack on demand', () => {
    const error = new TypeError('x is not a function');
    expect(formatError(error, false)).toBe('unexpected: x is not a function (MASKRCNN_DEBUG=1 shows where)');
    expect(formatError(new Error('outer', { cause: error }), true)).toMatch(
      /^unexpected: outer\nError: outer\n[^]*caused by: TypeError: x is not/,
    );
  });
});
