import { ConfigError } from '../../errors.js';
import { nearestNames } from '../../nearest_names.js';
import type { Trainer, TrainOutcome } from '../trainer.js';
import type { Hook } from './hook.js';
import { VALIDATION } from './validation_loss.js';

/** Settings of {@link PeriodicEvaluation}. */
export interface EvaluationHookOptions {
  /** Steps between evaluations; the end of a run is always evaluated. */
  readonly period: number;
  /** Measures the model as it is: by name, such as `segm/AP` or `validation/total_loss`. May give up with the signal's reason once the run is to end. */
  readonly evaluate: (iteration: number, signal: AbortSignal) => Promise<Readonly<Record<string, number>>>;
  /** What "better" means: a name that `evaluate` gives; larger is better, of losses (`validation/...`) smaller. */
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

interface EvaluationState {
  readonly best: BestSoFar | null;
  /** The iteration of the last evaluation; -1 before the first. */
  readonly evaluated: number;
}

/** Evaluates now and then, keeps the best, and ends a run that no longer gets better. A moving average, where there is one, is what is judged. */
export class PeriodicEvaluation implements Hook {
  readonly name = 'evaluation';
  private best: BestSoFar | undefined;
  private evaluated = -1;

  constructor(private readonly options: EvaluationHookOptions) {}

  state(): EvaluationState {
    return { best: this.best ?? null, evaluated: this.evaluated };
  }

  restore(state: unknown): void {
    const { best, evaluated } = state as EvaluationState;
    this.best = best ?? undefined;
    this.evaluated = evaluated;
  }

  /** Whether the iterations made so far ask for an evaluation. */
  isDue({ iteration, options: { iterations } }: Trainer): boolean {
    const { period } = this.options;
    return iteration === iterations || (period > 0 && iteration % period === 0);
  }

  /** A run that was killed in its evaluation makes up for it. */
  async beforeTrain(trainer: Trainer): Promise<void> {
    if (trainer.iteration > 0 && this.evaluated !== trainer.iteration && this.isDue(trainer)) await this.run(trainer);
  }

  async afterStep(trainer: Trainer): Promise<void> {
    if (this.isDue(trainer)) await this.run(trainer);
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
      const detected = Object.entries(results).some(([name, value]) => !name.startsWith(VALIDATION) && Number.isFinite(value));
      // Where nothing was detected the names of classes are absent.
      if (detected && !(metric in results))
        throw new ConfigError(
          `TEST.BEST_METRIC is '${metric}'; the evaluation gives ${nearestNames(metric, Object.keys(results)).join(', ')}.`,
        );
      this.evaluated = iteration;
      const value = results[metric] ?? NaN;
      if (!detected)
        print?.(
          `iter: ${iteration - 1}  evaluation: nothing was detected yet, so there is no ${this.lessIsBetter ? 'AP' : metric}. Early in a run that is usual; if it stays so, ` +
            'look at the warnings before the first iteration and try --sanity',
        );
      if (this.best === undefined || this.isBetter(value, this.best.value)) {
        this.best = { value: Number.isFinite(value) ? value : this.worst, iteration, since: 0 };
        await onBest(iteration, this.best.value);
      } else {
        this.best = { ...this.best, since: this.best.since + 1 };
      }
    });
    if (patience > 0 && this.best !== undefined && this.best.since >= patience && iteration < trainer.options.iterations)
      trainer.stop(
        `${metric} has not ${this.lessIsBetter ? 'fallen below' : 'risen above'} ${this.best.value.toPrecision(4)} of iteration ${this.best.iteration} in ${patience} evaluations`,
      );
  }

  private get lessIsBetter(): boolean {
    return this.options.metric.startsWith(VALIDATION);
  }

  /** What stands for no value: any value is better. JSON has no infinity. */
  private get worst(): number {
    return this.lessIsBetter ? Number.MAX_VALUE : -1;
  }

  private isBetter(value: number, than: number): boolean {
    return this.lessIsBetter ? value < than : value > than;
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
