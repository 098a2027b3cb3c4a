import * as tf from '@tensorflow/tfjs-core';
import { fusedOps, presentFusedOps as ops } from '../backends/fused_ops.js';

/** A kernel per activation: only the rectified one keeps its output for the gradient. */
const BATCH_NORM = { linear: 'BatchNormTraining', relu: 'BatchNormTrainingRelu' } as const;

/** A map normalised by its own statistics. */
export interface BatchNormResult {
  /** [N, H, W, C] */
  readonly y: tf.Tensor4D;
  /** [C], over all pixels of the batch. */
  readonly mean: tf.Tensor1D;
  /** [C], with Bessel's correction, as PyTorch's running variance takes it. */
  readonly variance: tf.Tensor1D;
}

/** Adds what other parts of a batch have of the same sums, in place; all parts call it for the same maps in the same order. */
export type SumsExchange = (sums: Float64Array) => void;

/**
 * Batch normalisation by the statistics of the batch (Ioffe and Szegedy 2015), then an addend and a rectifier where asked for, with its gradient
 * in closed form. On TensorFlow it is one operation there and one back.
 *
 * @param x        [N, H, W, C]
 * @param weight   [C]
 * @param bias     [C]
 * @param residual [N, H, W, C], added before the rectifier
 * @param exchange makes the statistics those of a larger batch that the map is a part of, in the gradient too (Detectron2's `SyncBN`); those of weight
 *   and bias stay this part's share
 */
export function batchNormTraining(
  x: tf.Tensor4D,
  weight: tf.Tensor1D,
  bias: tf.Tensor1D,
  epsilon: number,
  residual: tf.Tensor4D | undefined,
  activation: 'linear' | 'relu',
  exchange?: SumsExchange,
): BatchNormResult {
  if (fusedOps() && !exchange) {
    const inputs = { x, weight, bias, ...(residual && { residual }) };
    const attributes = { epsilon, withResidual: residual !== undefined };
    const outputs = tf.engine().runKernel<tf.Tensor[]>(BATCH_NORM[activation], inputs, attributes);
    const [y, mean, variance] = outputs as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D];
    return { y, mean, variance };
  }
  const { y, mean, variance, pixels } = composed(x, weight, bias, epsilon, exchange);
  const sum = residual ? tf.add<tf.Tensor4D>(y, residual) : y;
  return {
    y: activation === 'relu' ? tf.relu(sum) : sum,
    mean,
    variance: tf.mul(variance, pixels / Math.max(1, pixels - 1)),
  };
}

/** Mean over rows first, then over the rows' means: one long float32 sum loses digits on backends that add in sequence. */
const channelMean = (map: tf.Tensor): tf.Tensor1D => tf.mean(tf.mean(map, 2), [0, 1]);

/** Means over all parts of a batch, from those of this part, and the number of pixels that they are over. */
function meansOfAll(means: tf.Tensor1D, pixels: number, exchange: SumsExchange): { means: tf.Tensor1D; pixels: number } {
  const sums = Float64Array.from([...means.dataSync(), 1], (value) => value * pixels);
  exchange(sums);
  const all = sums[sums.length - 1];
  return { means: tf.tensor1d(Float32Array.from(sums.subarray(0, -1), (sum) => sum / all)), pixels: all };
}

/** By the stock operations, where the backend has no such one, or the statistics are not the map's alone. */
function composed(
  x: tf.Tensor4D,
  weight: tf.Tensor1D,
  bias: tf.Tensor1D,
  epsilon: number,
  exchange: SumsExchange | undefined,
): Omit<BatchNormResult, 'y'> & { y: tf.Tensor4D; pixels: number } {
  const own = x.size / x.shape[3];
  let pixels = own;
  let statistics: { mean: tf.Tensor1D; variance: tf.Tensor1D } | undefined;
  const ofAll = (means: tf.Tensor1D): tf.Tensor1D => {
    if (!exchange) return means;
    const all = meansOfAll(means, own, exchange);
    pixels = all.pixels;
    return all.means;
  };
  const normalise = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [map, scale, shift, save] = args as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D, tf.GradSaveFunc];
    const mean = ofAll(channelMean(map));
    const variance = ofAll(channelMean(tf.square(tf.sub(map, mean))));
    statistics = { mean: tf.keep(mean), variance: tf.keep(variance) };
    const inverse = tf.rsqrt(tf.add(variance, epsilon));
    const factor = tf.mul(inverse, scale);
    const value = tf.add<tf.Tensor4D>(tf.mul(map, factor), tf.sub(shift, tf.mul(mean, factor)));
    save([map, mean, inverse, scale]);
    const gradFunc = (dy: tf.Tensor, [saved, centre, deviation, by]: tf.Tensor[]): tf.Tensor[] => {
      const unit = tf.mul(tf.sub(saved, centre), deviation);
      const [dyMean, alongMean] = [channelMean(dy), channelMean(tf.mul(dy, unit))];
      const [dyAll, alongAll] = exchange ? tf.split(ofAll(tf.concat1d([dyMean, alongMean])), 2) : [dyMean, alongMean];
      const dx = tf.mul(tf.sub(tf.sub(dy, dyAll), tf.mul(unit, alongAll)), tf.mul(deviation, by));
      return [dx, tf.mul(alongMean, own), tf.mul(dyMean, own)];
    };
    return { value, gradFunc };
  });
  const y = normalise(x, weight, bias) as tf.Tensor4D;
  // Kept across the scope of the operation; they belong to the caller's scope.
  const { mean, variance } = statistics!;
  const result = { y, mean: tf.clone(mean), variance: tf.clone(variance), pixels };
  tf.dispose([mean, variance]);
  return result;
}

for (const activation of ['linear', 'relu'] as const) {
  const relu = activation === 'relu';
  tf.registerKernel({
    kernelName: BATCH_NORM[activation],
    backendName: 'tensorflow',
    kernelFunc: ({ inputs, attrs }) => {
      const { x, weight, bias, residual } = inputs as Record<string, tf.TensorInfo | undefined>;
      const { epsilon } = attrs as unknown as { epsilon: number };
      const [sum, ...statistics] = ops().batchNorm(x!, weight!, bias!, epsilon);
      if (residual) ops().addInPlace(sum, residual, relu);
      if (!relu || residual) return [sum, ...statistics];
      const y = ops().relu(sum);
      sum.dispose();
      return [y, ...statistics];
    },
  });
  tf.registerGradient({
    kernelName: BATCH_NORM[activation],
    inputsToSave: ['x', 'weight'],
    outputsToSave: [relu, false, false, true, true],
    gradFunc: (dys, [x, weight, ...kept], attributes) => {
      const { epsilon, withResidual } = attributes as unknown as { epsilon: number; withResidual: boolean };
      const dy = (dys as unknown as tf.Tensor[])[0]!;
      const before = relu ? ops().reluGradient(dy, kept.shift()!) : dy;
      const [dx, dWeight, dBias] = ops().batchNormGradient(before, x!, weight!, kept as [tf.Tensor, tf.Tensor], epsilon);
      return {
        x: () => dx,
        weight: () => dWeight,
        bias: () => dBias,
        ...(withResidual && { residual: () => tf.clone(before) }),
      };
    },
  });
}
