import type { Random } from '../../data/random.js';
import type { TrainingSample } from '../../structures/training_sample.js';

/** What validation losses are measured on. */
export interface ValidationLossOptions {
  /** The same batches every time, made anew. */
  readonly batches: () => AsyncIterable<readonly TrainingSample[]>;
  /** Losses by name, without gradients. */
  readonly losses: (samples: readonly TrainingSample[], random: Random) => Promise<Readonly<Record<string, number>>>;
  /** Draws the same samples every time. */
  readonly random: Random;
  /** Ends it between batches with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Every name of a validation loss begins so; less is better. */
export const VALIDATION = 'validation/';

/** The mean losses on pictures that are not trained on: `validation/loss_cls`, ..., `validation/total_loss`; nothing without pictures. */
export async function validationLosses({
  batches,
  losses,
  random,
  signal,
}: ValidationLossOptions): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  let count = 0;
  for await (const batch of batches()) {
    signal?.throwIfAborted();
    for (const [name, value] of Object.entries(await losses(batch, random.fork(count)))) sums[name] = (sums[name] ?? 0) + value;
    count++;
  }
  if (count === 0) return {};
  const means = Object.entries(sums).map(([name, sum]) => [name, sum / count] as const);
  return Object.fromEntries([
    ...means.map(([name, mean]) => [`${VALIDATION}${name}`, mean]),
    [`${VALIDATION}total_loss`, means.reduce((total, [, mean]) => total + mean, 0)],
  ]) as Record<string, number>;
}
