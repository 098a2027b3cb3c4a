import { CONVOLUTIONS } from './convolutions.js';
import { differencesFrom, type KernelProblem } from './kernel_problem.js';
import { NORMS } from './norms.js';
import { RESAMPLING } from './resampling.js';
import { ROWS } from './rows.js';

/** What runs on every backend, in Node and in browsers; RoIAlign, proposals and suppression have tables of their own. */
const KERNEL_PROBLEMS: Record<string, KernelProblem> = { ...CONVOLUTIONS, ...NORMS, ...RESAMPLING, ...ROWS };

/** The table's rows. */
export const KERNEL_NAMES = Object.keys(KERNEL_PROBLEMS);

/** Runs a row of the table on the running backend. @returns what is not as it should be, in words */
export function kernelDifferences(name: string): Promise<string[]> {
  return differencesFrom(KERNEL_PROBLEMS[name]);
}
