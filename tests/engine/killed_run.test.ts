import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { findLastCheckpoint, readTrainingCheckpoint } from '../../src/engine/training_checkpoint.js';

const folder = mkdtempSync(join(tmpdir(), 'killed-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the script, and kills it so many milliseconds after its first step. @returns what it printed */
function run(name: string, iterations: number, killAfter?: number): Promise<string> {
  const script = fileURLToPath(new URL('killed_run.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, join(folder, name), String(iterations)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  let armed = false;
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    if (killAfter === undefined || armed || !out.includes('saved')) return;
    armed = true;
    setTimeout(() => child.kill('SIGKILL'), killAfter);
  });
  return new Promise((resolve) => child.on('close', () => resolve(out)));
}

const numbers = (out: string, word: string) => [...out.matchAll(new RegExp(`^${word} (\\d+)$`, 'gm'))].map(([, n]) => Number(n));

describe('a run that is killed', () => {
  it(
    'at any moment loses at most what came after its last checkpoint, and ends as if it had not been',
    { timeout: 300_000 },
    async () => {
      let reached = 0;
      for (const killAfter of [0, 3, 7, 12, 18, 25]) {
        const out = await run('killed', 100_000, killAfter);
        expect(numbers(out, 'from')).toEqual([reached]);
        const told = numbers(out, 'saved').at(-1)!;
        const last = (await findLastCheckpoint(join(folder, 'killed')))!;
        // The file that is named is whole, and is that of the last step told of or, where the kill fell between, of the one after.
        const { checkpoint, state } = await readTrainingCheckpoint(last);
        expect(checkpoint.tensors.get('ballast')!.shape).toEqual([500_000]);
        expect([told, told + 1]).toContain(state.iteration);
        expect(state.iteration).toBeGreaterThan(reached);
        reached = state.iteration;
      }
      const end = reached + 5;
      const resumed = await run('killed', end);
      const whole = await run('whole', end);
      expect(/weight .*/.exec(resumed)![0]).toBe(/weight .*/.exec(whole)![0]);
      // Nothing half written is left by the kills.
      expect(readdirSync(join(folder, 'killed', 'checkpoints')).sort()).toEqual(
        [end - 1, end].map((i) => `iteration_${String(i).padStart(7, '0')}.safetensors`),
      );
    },
  );
});
