import type { Config } from '../../config/index.js';
import { ConfigError } from '../../errors.js';

/** Share of the run that is over, 0..1, to a factor of the learning rate. */
type Schedule = (where: number) => number;

/** fvcore adds this before it compares or rounds, so that i / n * n is i. */
const WHERE_EPSILON = 1e-6;

/** The keys of a config's SOLVER that a schedule reads. */
export type ScheduleSettings = Pick<
  Config['SOLVER'],
  | 'LR_SCHEDULER_NAME'
  | 'BASE_LR'
  | 'BASE_LR_END'
  | 'MAX_ITER'
  | 'STEPS'
  | 'GAMMA'
  | 'NUM_DECAYS'
  | 'WARMUP_ITERS'
  | 'WARMUP_FACTOR'
  | 'WARMUP_METHOD'
  | 'RESCALE_INTERVAL'
>;

/**
 * The factor of the learning rate at every iteration, counted from 0, as Detectron2's `build_lr_scheduler` gives it: a warm-up, then falls at
 * `STEPS`, a cosine, or falls at equal distances.
 * @throws ConfigError for an end of the cosine that is not between 0 and BASE_LR
 */
export function lrSchedule({ SOLVER }: { readonly SOLVER: ScheduleSettings }): (iteration: number) => number {
  const schedule = withWarmup(mainSchedule(SOLVER), SOLVER);
  return (iteration) => schedule(iteration / SOLVER.MAX_ITER);
}

function mainSchedule(solver: ScheduleSettings): Schedule {
  const { GAMMA, MAX_ITER } = solver;
  switch (solver.LR_SCHEDULER_NAME) {
    case 'WarmupCosineLR': {
      const end = solver.BASE_LR_END / solver.BASE_LR;
      if (!(end >= 0 && end <= 1))
        throw new ConfigError(`SOLVER.BASE_LR_END is ${solver.BASE_LR_END}; expected 0 to SOLVER.BASE_LR, ${solver.BASE_LR}.`);
      return (where) => end + 0.5 * (1 - end) * (1 + Math.cos(Math.PI * where));
    }
    case 'WarmupStepWithFixedGammaLR': {
      const values = [1];
      for (let i = 0; i < solver.NUM_DECAYS; i++) values.push(values[i] * GAMMA);
      return (where) => values[Math.min(Math.trunc((where + WHERE_EPSILON) * values.length), values.length - 1)];
    }
    default: {
      const steps = solver.STEPS.filter((step) => step <= MAX_ITER);
      return (where) => {
        const iteration = Math.trunc((where + WHERE_EPSILON) * MAX_ITER);
        return GAMMA ** steps.filter((step) => step <= iteration).length;
      };
    }
  }
}

function withWarmup(main: Schedule, solver: ScheduleSettings): Schedule {
  const { WARMUP_FACTOR, WARMUP_METHOD, RESCALE_INTERVAL } = solver;
  const length = Math.min(solver.WARMUP_ITERS / solver.MAX_ITER, 1);
  const start = WARMUP_FACTOR * main(0);
  const end = RESCALE_INTERVAL ? main(0) : main(length);
  return (where) => {
    if (where + WHERE_EPSILON <= length || length === 1) {
      const done = where / length;
      return WARMUP_METHOD === 'constant' ? start : end * done + start * (1 - done);
    }
    return main(RESCALE_INTERVAL ? (where - length) / (1 - length) : where);
  };
}
