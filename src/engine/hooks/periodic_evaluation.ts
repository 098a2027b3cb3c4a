import { ConfigError } from '../../errors.js';
import { nearestNames } from '../../nearest_names.js';
import type { Trainer, TrainOutcome } from '../trainer.js';
import type { Hook } from './hook.js';

/** Settings of {@link PeriodicEvaluation}. */
export interface EvaluationHookOptions {
  /** Steps between evaluations; the end of a run is always evaluated. */
  readonly period: number;
  /** Measures the model as it is: percentages by name, such as `segm/AP`. May give up with the signal's reason once the run is to end. */
  readonly evaluate: (iteration: number, signal: AbortSignal) => Promise<Readonly<Record<string, number>>>;
  /** What "better" means: a name that `evaluate` gives; larger is better. */
  readonly metric: string;
  /** Evaluations without a better result before the run ends; 0 for never. */
  readonly patience: number;
  /** Keeps the model that is the best so far. */
  readonly onBest: (iteration: number, value: number) => Promise<void>;
  /** Takes a line on an evaluation that has no numbers to show. */
  readonly print?: (line: string) => void;
}

interface BestSoFar {
  readonly value: number;
  readonly iteration: number;
  /** Evaluations since. */
  readonly since: number;
}

/** Evaluates now and then, keeps the best, and ends a run that no longer gets better. A moving average, where there is one, is what is judged. */
export class PeriodicEvaluation implements Hook {
  readonly name = 'evaluation';
  private best: BestSoFar | undefined;
  private evaluated = -1;

  constructor(private readonly options: EvaluationHookOptions) {}

  state(): unknown {
    return this.best ?? null;
  }

  restore(state: unknown): void {
    this.best = (state as BestSoFar | null) ?? undefined;
  }

  async afterStep(trainer: Trainer): Promise<void> {
    const { period } = this.options;
    if (trainer.iteration === trainer.options.iterations || (period > 0 && trainer.iteration % period === 0))
      await this.run(trainer);
  }

  async afterTrain(trainer: Trainer, _outcome: TrainOutcome): Promise<void> {
    // A run that was stopped before its first evaluation still leaves a model.
    if (this.best === undefined && this.evaluated < 0 && trainer.iteration > 0)
      await withAverage(trainer, () => this.options.onBest(trainer.iteration, NaN));
  }

  private async run(trainer: Trainer): Promise<void> {
    const { evaluate, metric, patience, onBest, print } = this.options;
    const { iteration, stopSignal: signal } = trainer;
    await withAverage(trainer, async () => {
      const results = await evaluate(iteration, signal).catch((error: unknown) => {
        if (signal.aborted && error === signal.reason) return undefined;
        throw error;
      });
      if (results === undefined) return print?.(`iter: ${iteration - 1}  evaluation given up: the run is to end`);
      for (const [name, value] of Object.entries(results)) if (Number.isFinite(value)) trainer.scalars.put(name, value, false);
      trainer.scalars.due = true;
      if (!(metric in results))
        throw new ConfigError(
          `TEST.BEST_METRIC is '${metric}'; the evaluation gives ${nearestNames(metric, Object.keys(results)).join(', ')}.`,
        );
      this.evaluated = iteration;
      if (!Object.values(results).some(Number.isFinite))
        print?.(
          `iter: ${iteration - 1}  evaluation: nothing was detected yet, so there is no ${metric}. Early in a run that is usual; if it stays so, ` +
            'look at the warnings before the first iteration and try --sanity',
        );
      const value = Number.isFinite(results[metric]) ? results[metric] : -1;
      if (this.best === undefined || value > this.best.value) {
        this.best = { value, iteration, since: 0 };
        await onBest(iteration, value);
      } else {
        this.best = { ...this.best, since: this.best.since + 1 };
      }
    });
    if (patience > 0 && this.best !== undefined && this.best.since >= patience && iteration < trainer.options.iterations)
      trainer.stop(
        `${metric} has not risen above ${this.best.value.toFixed(2)} of iteration ${this.best.iteration} in ${patience} evaluations`,
      );
  }
}

/** Runs something with the moving average in the place of the weights. */
export async function withAverage<T>(trainer: Trainer, work: () => Promise<T>): Promise<T> {
  const { average } = trainer.options;
  average?.swap();
  try {
    return await work();
  } finally {
    average?.swap();
  }
}
