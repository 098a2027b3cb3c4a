import type * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../../config/index.js';
import type { ModelParameter } from '../../layers/module.js';

/** A weight that an optimiser moves, with the rates that are its own. */
export interface TrainedParameter {
  /** Detectron2's name. */
  readonly name: string;
  readonly variable: tf.Variable;
  /** The rate before the schedule's factor. */
  readonly learningRate: number;
  /** L2 penalty: this times the weight is added to the gradient (AdamW: taken from the weight). */
  readonly weightDecay: number;
}

/** Which rates biases and norms have of their own. */
export interface ParameterRates {
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Of scales and shifts of normalisations. */
  readonly weightDecayNorm: number;
  /** Of everything called `bias`, those of norms too; null: no rate of its own. */
  readonly weightDecayBias: number | null;
  readonly biasLearningRateFactor: number;
}

/** What of a model's parameter the rates depend on. */
export type RatedParameter = Pick<ModelParameter, 'name' | 'kind' | 'variable' | 'trainable'>;

/** The rates that a config gives (`SOLVER.BASE_LR`, `WEIGHT_DECAY`, ...). */
export function ratesFromConfig({ SOLVER }: Config): ParameterRates {
  return {
    learningRate: SOLVER.BASE_LR,
    weightDecay: SOLVER.WEIGHT_DECAY,
    weightDecayNorm: SOLVER.WEIGHT_DECAY_NORM,
    weightDecayBias: SOLVER.WEIGHT_DECAY_BIAS,
    biasLearningRateFactor: SOLVER.BIAS_LR_FACTOR,
  };
}

/**
 * The trainable ones of a model's parameters with their rates, in Detectron2's order of precedence (`get_default_optimizer_params`): the
 * defaults, then what norms have, then what biases have; a norm's shift counts as a bias.
 */
export function trainedParameters(parameters: readonly RatedParameter[], rates: ParameterRates): TrainedParameter[] {
  return parameters
    .filter(({ trainable }) => trainable)
    .map(({ name, kind, variable }) => {
      const isBias = name === 'bias' || name.endsWith('.bias');
      let weightDecay = kind === 'norm' ? rates.weightDecayNorm : rates.weightDecay;
      if (isBias && rates.weightDecayBias !== null) weightDecay = rates.weightDecayBias;
      const learningRate = isBias ? rates.learningRate * rates.biasLearningRateFactor : rates.learningRate;
      return { name, variable, learningRate, weightDecay };
    });
}
