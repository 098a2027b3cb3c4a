import { lrSchedule } from '../../../src/engine/solver/lr_schedule.js';
import { solverConfig } from '../data/solver.js';
import type { CaseView, OpsAdapter } from './case_view.js';

/** The rate of every iteration. */
export const lrScheduleAdapter: OpsAdapter = {
  purpose: 'training',
  async run(view: CaseView) {
    const cfg = solverConfig(view.golden.params);
    const factor = lrSchedule(cfg);
    return { lr: { value: Array.from({ length: cfg.SOLVER.MAX_ITER }, (_, i) => cfg.SOLVER.BASE_LR * factor(i)) } };
  },
};
