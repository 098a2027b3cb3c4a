import type { Trainer, TrainOutcome, TrainStep } from '../trainer.js';

/** Something that is done beside the steps of a training, as Detectron2's `HookBase`; run in the order in which hooks were given. */
export interface Hook {
  /** Once, before the first step; also of a resumed run. */
  beforeTrain?(trainer: Trainer): Promise<void> | void;
  /** Once, after the last step, also where the run was stopped; not after an error. */
  afterTrain?(trainer: Trainer, outcome: TrainOutcome): Promise<void> | void;
  /** In the place of `afterTrain` where the run ends by an error, which is thrown afterwards; errors of this call are dropped. */
  afterError?(trainer: Trainer, error: unknown): Promise<void> | void;
  beforeStep?(trainer: Trainer): Promise<void> | void;
  /** After the weights were updated. */
  afterStep?(trainer: Trainer, step: TrainStep): Promise<void> | void;
  /** What a checkpoint keeps of this hook, as JSON, under this name. */
  readonly name?: string;
  state?(): unknown;
  /** Takes what `state` gave. */
  restore?(state: unknown): void;
}
