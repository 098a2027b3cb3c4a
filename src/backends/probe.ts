import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProbeResult } from './convolution_probe.js';
import type { ConcreteDevice } from './device.js';

export type ProbeAnswer = { ok: true; result: ProbeResult } | { ok: false; reason: string };

/**
 * Tries a device in a process of its own, so that a crash of its library is an answer too.
 *
 * @param folder the folder whose `node_modules` is searched beside ours.
 * @param timeoutMs after that long it counts as not working.
 */
export function probe(device: ConcreteDevice, folder = process.cwd(), timeoutMs = 120_000): Promise<ProbeAnswer> {
  const extension = extname(fileURLToPath(import.meta.url));
  const child = fork(fileURLToPath(new URL(`./probe_child${extension}`, import.meta.url)), [device], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // From the sources (tests) the child needs the same translator as we have.
    execArgv: extension === '.ts' ? ['--import', import.meta.resolve('tsx')] : [],
  });
  return new Promise((resolve) => {
    let answer: ProbeAnswer | undefined;
    let errors = '';
    child.stderr?.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
    const timer = setTimeout(() => {
      answer ??= { ok: false, reason: `device ${device}: no answer within ${timeoutMs / 1000} s` };
      child.kill('SIGKILL');
    }, timeoutMs);
    child.on('message', (message) => (answer = message as ProbeAnswer));
    child.on('error', (error) => (answer ??= { ok: false, reason: error.message }));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const last = errors.trim().split('\n').at(-1) ?? '';
      resolve(
        answer ?? {
          ok: false,
          reason: `device ${device}: its process ended with ${signal ?? `code ${code}`}${last ? `: ${last}` : ''}`,
        },
      );
    });
  });
}
