import type { Config } from '../../config/index.js';
import { roundHalfEven } from '../../data/transforms/rounding.js';
import { ConfigError } from '../../errors.js';

/**
 * Fits a config that was written for `SOLVER.REFERENCE_WORLD_SIZE` GPUs to another number of processes, in place, as Detectron2's
 * `auto_scale_workers` does: batch and rate grow with the number, counts of iterations fall with it. 0 asks for no such thing.
 * @param processes that train together, each on a device of its own
 * @returns whether anything changed; afterwards the reference is that number
 * @throws ConfigError where the batch cannot be divided
 */
export function scaleToProcesses({ SOLVER, TEST }: Config, processes = 1): boolean {
  const size = SOLVER.REFERENCE_WORLD_SIZE;
  if (size === 0 || size === processes) return false;
  if (SOLVER.IMS_PER_BATCH % size !== 0)
    throw new ConfigError(
      `SOLVER.IMS_PER_BATCH is ${SOLVER.IMS_PER_BATCH}, which SOLVER.REFERENCE_WORLD_SIZE, ${size}, does not divide. Set REFERENCE_WORLD_SIZE=0 and give batch and rate for ${processes === 1 ? 'one device' : `${processes} processes`}.`,
    );
  // Divided by the quotient and rounded as Python does.
  const scale = processes / size;
  const fewer = (steps: number): number => roundHalfEven(steps / scale);
  // A period of 0 is none; another one does not become none.
  const period = (steps: number): number => (steps > 0 ? Math.max(1, fewer(steps)) : steps);
  SOLVER.IMS_PER_BATCH = (SOLVER.IMS_PER_BATCH / size) * processes;
  SOLVER.BASE_LR = (SOLVER.BASE_LR / size) * processes;
  SOLVER.MAX_ITER = Math.max(1, fewer(SOLVER.MAX_ITER));
  SOLVER.WARMUP_ITERS = fewer(SOLVER.WARMUP_ITERS);
  SOLVER.STEPS = SOLVER.STEPS.map(fewer);
  TEST.EVAL_PERIOD = period(TEST.EVAL_PERIOD);
  SOLVER.CHECKPOINT_PERIOD = period(SOLVER.CHECKPOINT_PERIOD);
  SOLVER.REFERENCE_WORLD_SIZE = processes;
  return true;
}
