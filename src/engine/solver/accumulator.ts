import * as tf from '@tensorflow/tfjs-core';

/** Sums the gradients of several batches, so that a step sees the mean of more pictures than fit in memory at once. */
export class GradientAccumulator {
  private sums = new Map<string, tf.Tensor>();
  private batches = 0;

  /** Batches since the last `take`. */
  get count(): number {
    return this.batches;
  }

  /** Adds one batch's gradients, and takes the tensors over. */
  add(gradients: ReadonlyMap<string, tf.Tensor>): void {
    this.batches++;
    for (const [name, gradient] of gradients) {
      const sum = this.sums.get(name);
      this.sums.set(name, sum ? tf.add(sum, gradient) : gradient);
      if (sum) tf.dispose([sum, gradient]);
    }
  }

  /** The mean over the batches, which the caller disposes of; starts anew. */
  take(): Map<string, tf.Tensor> {
    const { sums, batches } = this;
    this.sums = new Map();
    this.batches = 0;
    if (batches > 1) {
      for (const [name, sum] of sums) {
        sums.set(name, tf.div(sum, batches));
        sum.dispose();
      }
    }
    return sums;
  }

  dispose(): void {
    tf.dispose([...this.sums.values()]);
    this.sums.clear();
    this.batches = 0;
  }
}
