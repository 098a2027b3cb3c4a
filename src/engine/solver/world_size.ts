import type { Config } from '../../config/index.js';
import { ConfigError } from '../../errors.js';

/**
 * Fits a config that was written for `SOLVER.REFERENCE_WORLD_SIZE` GPUs to another number of processes, in place, as Detectron2's
 * `auto_scale_workers` does: batch and rate grow with the number, counts of iterations fall with it. 0 asks for no such thing.
 * @param processes that train together, each on a device of its own
 * @returns whether anything changed; afterwards the reference is 0: a run that goes on with another number of processes keeps batch and rate
 * @throws ConfigError where the batch cannot be divided
 */
export function scaleToProcesses({ SOLVER, TEST }: Config, processes = 1): boolean {
  const size = SOLVER.REFERENCE_WORLD_SIZE;
  if (size === 0) return false;
  SOLVER.REFERENCE_WORLD_SIZE = 0;
  if (size === processes) return false;
  if (SOLVER.IMS_PER_BATCH % size !== 0)
    throw new ConfigError(
      `SOLVER.IMS_PER_BATCH is ${SOLVER.IMS_PER_BATCH}, which SOLVER.REFERENCE_WORLD_SIZE, ${size}, does not divide. Set REFERENCE_WORLD_SIZE=0 and give batch and rate for ${processes === 1 ? 'one device' : `${processes} processes`}.`,
    );
  const fewer = (steps: number): number => Math.round((steps * size) / processes);
  SOLVER.IMS_PER_BATCH = (SOLVER.IMS_PER_BATCH / size) * processes;
  SOLVER.BASE_LR = (SOLVER.BASE_LR / size) * processes;
  SOLVER.MAX_ITER = fewer(SOLVER.MAX_ITER);
  SOLVER.WARMUP_ITERS = fewer(SOLVER.WARMUP_ITERS);
  SOLVER.STEPS = SOLVER.STEPS.map(fewer);
  TEST.EVAL_PERIOD = fewer(TEST.EVAL_PERIOD);
  SOLVER.CHECKPOINT_PERIOD = fewer(SOLVER.CHECKPOINT_PERIOD);
  return true;
}
