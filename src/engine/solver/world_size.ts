import type { Config } from '../../config/index.js';
import { ConfigError } from '../../errors.js';

/**
 * Fits a config that was written for `SOLVER.REFERENCE_WORLD_SIZE` GPUs to one device, in place, as Detectron2's `auto_scale_workers` does:
 * batch and rate are divided by that number, counts of iterations are multiplied.
 * @returns whether anything changed; afterwards the reference is 1, so that a second call changes nothing
 * @throws ConfigError where the batch cannot be divided
 */
export function scaleToOneDevice({ SOLVER, TEST }: Config): boolean {
  const size = SOLVER.REFERENCE_WORLD_SIZE;
  if (size === 0 || size === 1) return false;
  if (SOLVER.IMS_PER_BATCH % size !== 0)
    throw new ConfigError(
      `SOLVER.IMS_PER_BATCH is ${SOLVER.IMS_PER_BATCH}, which SOLVER.REFERENCE_WORLD_SIZE, ${size}, does not divide. Set REFERENCE_WORLD_SIZE=0 and give batch and rate for one device.`,
    );
  SOLVER.IMS_PER_BATCH /= size;
  SOLVER.BASE_LR /= size;
  SOLVER.MAX_ITER *= size;
  SOLVER.WARMUP_ITERS *= size;
  SOLVER.STEPS = SOLVER.STEPS.map((step) => step * size);
  TEST.EVAL_PERIOD *= size;
  SOLVER.CHECKPOINT_PERIOD *= size;
  SOLVER.REFERENCE_WORLD_SIZE = 1;
  return true;
}
