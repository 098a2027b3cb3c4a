import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of the stock operations.
import '@tensorflow/tfjs-layers';
import { Tape } from '../autodiff/tape.js';
import { ArgumentError } from '../errors.js';
import type { BatchLosses, HostTrace, TrainableModel, TrainingPass, WholeBatch } from '../meta_arch/training_pass.js';
import { readBack } from '../ops/read_back.js';
import type { Permutations } from '../rpn/subsample_labels.js';
import type { TrainingSample } from '../structures/training_sample.js';

/** The losses of one batch by Detectron2's names (`loss_cls`, `loss_box_reg`, `loss_mask`, `loss_rpn_cls`, `loss_rpn_loc`), weighted. */
export interface LossValues {
  readonly losses: Record<string, number>;
  /** What Detectron2 logs besides, such as `fast_rcnn/cls_accuracy` or `rpn/num_pos_anchors`. */
  readonly metrics: Record<string, number>;
}

/** Losses and the gradient of their sum. */
export interface LossGradients extends LossValues {
  /** By Detectron2's parameter names, every trainable parameter, in the layout of the variables. The caller disposes of them. */
  readonly gradients: Map<string, tf.Tensor>;
}

export interface LossOptions {
  /** Sees labels and sampled regions. */
  readonly trace?: HostTrace;
  /** Height and width that the batch is padded to at least. */
  readonly leastSize?: readonly [number, number];
  /** The batch that this one is a part of. */
  readonly whole?: WholeBatch;
  /**
   * Called between the forward and the backward pass: factors of the losses, by name, for the gradients; the losses are given as they are.
   * @param counts what each loss is a mean over, by name: see `BatchLosses`
   */
  readonly weigh?: (names: readonly string[], counts: NonNullable<BatchLosses['counts']>) => Readonly<Record<string, number>>;
  /** Sees each gradient during the backward pass, once it is final; undefined where no loss depends on the parameter. */
  readonly onGradient?: (name: string, gradient: tf.Tensor | undefined) => void;
}

/**
 * One forward and backward pass in training mode. The model must not be folded. Values come back from the device twice: the proposals, then losses and
 * metrics together.
 * @param order draws anchors and proposals; a `Random`, or the given order in tests
 * @throws ArgumentError for an empty batch, or a model without trainable parameters
 * @throws DivergenceError where the proposals are not finite any more
 */
export async function lossGradients(
  model: TrainableModel,
  samples: readonly TrainingSample[],
  order: Permutations,
  options: LossOptions = {},
): Promise<LossGradients> {
  const parameters = model.modelParameters().filter(({ trainable }) => trainable);
  if (parameters.length === 0) throw new ArgumentError('The model has no trainable parameters: everything is frozen.');
  const tape = new Tape();
  let batch: BatchLosses | undefined;
  let gradients: (tf.Tensor | undefined)[] = [];
  try {
    batch = await forward(model, samples, order, options, (part) => tape.record(part));
    const { losses, counts = {} } = batch;
    const factors = options.weigh?.(Object.keys(losses), counts);
    const weighted = ([name, loss]: [string, tf.Scalar]) => (factors ? tf.mul<tf.Scalar>(loss, factors[name]) : loss);
    const total = tape.record(() => tf.tidy(() => tf.addN(Object.entries(losses).map(weighted))));
    const { onGradient } = options;
    gradients = tape.gradients(
      total as tf.Scalar,
      parameters.map(({ variable }) => variable),
      onGradient && ((place, gradient) => onGradient(parameters[place].name, gradient)),
    );
    total.dispose();
    const values = await readLosses(batch);
    // A parameter that no loss depended on, as of the box regression without foreground, has gradient 0.
    const entries = parameters.map(({ name, variable }, i): [string, tf.Tensor] => [
      name,
      gradients[i] ?? tf.zeros(variable.shape),
    ]);
    return { ...values, gradients: new Map(entries) };
  } catch (error) {
    tf.dispose(gradients.filter((gradient) => gradient !== undefined));
    throw error;
  } finally {
    tape.dispose();
    if (batch) disposeLosses(batch);
  }
}

/** The losses of a batch alone, as for validation; arguments as of `lossGradients`. */
export async function lossValues(
  model: TrainableModel,
  samples: readonly TrainingSample[],
  order: Permutations,
): Promise<LossValues> {
  const batch = await forward(model, samples, order, { measuresOnly: true }, (part) => part());
  try {
    return await readLosses(batch);
  } finally {
    disposeLosses(batch);
  }
}

function forward(
  model: TrainableModel,
  samples: readonly TrainingSample[],
  order: Permutations,
  { trace, leastSize, whole, measuresOnly = false }: Pick<TrainingPass, 'trace' | 'leastSize' | 'whole' | 'measuresOnly'>,
  record: <T>(part: () => T) => T,
): Promise<BatchLosses> {
  if (samples.length === 0) throw new ArgumentError('The batch is empty; expected at least one sample.');
  const seen = { ...(trace ? { trace } : {}), ...(leastSize ? { leastSize } : {}), ...(whole ? { whole } : {}) };
  return model.computeLosses(samples, { record, order, measuresOnly, ...seen });
}

/** Reads losses and metrics back in one piece. */
async function readLosses({ losses, metrics, pending }: BatchLosses): Promise<LossValues> {
  const tensors = [...Object.values(losses), ...pending.map(({ values }) => values)];
  const flat = tf.tidy(() => tf.concat(tensors.map((tensor) => tf.reshape(tensor, [-1]))));
  const values = await readBack(flat);
  flat.dispose();
  let at = 0;
  const next = ({ size }: tf.Tensor): Float32Array => values.subarray(at, (at += size));
  const read = Object.fromEntries(Object.entries(losses).map(([name, tensor]) => [name, next(tensor)[0]]));
  const measured = pending.map(({ values: tensor, toMetrics }) => toMetrics(next(tensor)));
  return { losses: read, metrics: Object.assign({}, metrics, ...measured) as Record<string, number> };
}

function disposeLosses({ losses, pending }: BatchLosses): void {
  tf.dispose(losses);
  tf.dispose(pending.map(({ values }) => values));
}
