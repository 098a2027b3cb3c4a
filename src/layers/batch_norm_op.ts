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

/**
 * Batch normalisation by the statistics of the batch (Ioffe and Szegedy 2015), then an addend and a rectifier where asked for, with its gradient
 * in closed form. On TensorFlow it is one operation there and one back.
 *
 * @param x        [N, H, W, C]
 * @param weight   [C]
 * @param bias     [C]
 * @param residual [N, H, W, C], added before the rectifier
 */
export function batchNormTraining(
  x: tf.Tensor4D,
  weight: tf.Tensor1D,
  bias: tf.Tensor1D,
  epsilon: number,
  residual: tf.Tensor4D | undefined,
  activation: 'linear' | 'relu',
): BatchNormResult {
  if (fusedOps()) {
    const inputs = { x, weight, bias, ...(residual && { residual }) };
    const attributes = { epsilon, withResidual: residual !== undefined };
    const outputs = tf.engine().runKernel<tf.Tensor[]>(BATCH_NORM[activation], inputs, attributes);
    const [y, mean, variance] = outputs as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D];
    return { y, mean, variance };
  }
  const pixels = x.size / x.shape[3];
  const { y, mean, variance } = composed(x, weight, bias, epsilon);
  const sum = residual ? tf.add<tf.Tensor4D>(y, residual) : y;
  return {
    y: activation === 'relu' ? tf.relu(sum) : sum,
    mean,
    variance: tf.mul(variance, pixels / Math.max(1, pixels - 1)),
  };
}

/** Mean over rows first, then over the rows' means: one long float32 sum loses digits on backends that add in sequence. */
const channelMean = (map: tf.Tensor): tf.Tensor1D => tf.mean(tf.mean(map, 2), [0, 1]);

/** By the stock operations, where the backend has no such one. */
function composed(x: tf.Tensor4D, weight: tf.Tensor1D, bias: tf.Tensor1D, epsilon: number): BatchNormResult {
  let statistics: { mean: tf.Tensor1D; variance: tf.Tensor1D } | undefined;
  const normalise = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [map, scale, shift, save] = args as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D, tf.GradSaveFunc];
    const mean = channelMean(map);
    const variance = channelMean(tf.square(tf.sub(map, mean)));
    statistics = { mean: tf.keep(mean), variance: tf.keep(variance) };
    const inverse = tf.rsqrt(tf.add(variance, epsilon));
    const factor = tf.mul(inverse, scale);
    const value = tf.add<tf.Tensor4D>(tf.mul(map, factor), tf.sub(shift, tf.mul(mean, factor)));
    save([map, mean, inverse, scale]);
    const gradFunc = (dy: tf.Tensor, [saved, centre, deviation, by]: tf.Tensor[]): tf.Tensor[] => {
      const unit = tf.mul(tf.sub(saved, centre), deviation);
      const [dyMean, alongMean] = [channelMean(dy), channelMean(tf.mul(dy, unit))];
      const pixels = saved.size / saved.shape[3]!;
      const dx = tf.mul(tf.sub(tf.sub(dy, dyMean), tf.mul(unit, alongMean)), tf.mul(deviation, by));
      return [dx, tf.mul(alongMean, pixels), tf.mul(dyMean, pixels)];
    };
    return { value, gradFunc };
  });
  const y = normalise(x, weight, bias) as tf.Tensor4D;
  // Kept across the scope of the operation; they belong to the caller's scope.
  const { mean, variance } = statistics!;
  const result = { y, mean: tf.clone(mean), variance: tf.clone(variance) };
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
