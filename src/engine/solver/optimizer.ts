import type * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../../config/index.js';
import { AdamW } from './adamw.js';
import { clippingFromConfig } from './clip_gradients.js';
import { Sgd } from './sgd.js';
import type { HostTensor } from './slots.js';
import { ratesFromConfig, type RatedParameter, trainedParameters } from './trained_parameter.js';

/** Moves weights against their gradients. */
export interface Optimizer {
  /**
   * One update of every parameter that has a gradient; the others keep still.
   * @param gradients by Detectron2's names, in the layout of the variables; they stay the caller's
   * @param lrFactor what the schedule gives for this iteration
   * @param norms the 2-norms of the gradients [gradients], where they are known: clipping by norm takes them
   */
  step(gradients: ReadonlyMap<string, tf.Tensor>, lrFactor: number, norms?: tf.Tensor1D): void;
  /** All that the next step depends on besides the weights, by name. */
  state(): Promise<Map<string, HostTensor>>;
  /** @throws CheckpointError where the state is that of other parameters or of another optimiser */
  restore(state: ReadonlyMap<string, HostTensor>): void;
  dispose(): void;
}

/** The optimiser that a config asks for (`SOLVER.OPTIMIZER`) over the trainable ones of a model's parameters. */
export function optimizerFromConfig(cfg: Config, parameters: readonly RatedParameter[]): Optimizer {
  const trained = trainedParameters(parameters, ratesFromConfig(cfg));
  const clipping = clippingFromConfig(cfg);
  if (cfg.SOLVER.OPTIMIZER === 'ADAMW') return new AdamW(trained, { ...(clipping ? { clipping } : {}) });
  const { MOMENTUM, NESTEROV } = cfg.SOLVER;
  return new Sgd(trained, { momentum: MOMENTUM, nesterov: NESTEROV, ...(clipping ? { clipping } : {}) });
}
