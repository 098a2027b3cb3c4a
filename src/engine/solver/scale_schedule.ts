import type { Config } from '../../config/index.js';

/** Steps that pass over so many pictures so often. */
export function iterationsOfEpochs({ SOLVER }: Config, epochs: number, pictures: number): number {
  return Math.max(1, Math.round((epochs * pictures) / (SOLVER.IMS_PER_BATCH * SOLVER.ACCUMULATE)));
}

/** Sets the length of a run, in place: the rate falls at the same shares of it, and the warm-up takes at most a tenth. */
export function scaleSchedule({ SOLVER }: Config, iterations: number): void {
  const ratio = iterations / SOLVER.MAX_ITER;
  SOLVER.STEPS = SOLVER.STEPS.filter((step) => step <= SOLVER.MAX_ITER).map((step) => Math.round(step * ratio));
  SOLVER.WARMUP_ITERS = Math.min(SOLVER.WARMUP_ITERS, Math.floor(iterations / 10));
  SOLVER.MAX_ITER = iterations;
}
