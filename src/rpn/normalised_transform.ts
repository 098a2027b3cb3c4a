import { Box2BoxTransform } from './box_transform.js';

const f = Math.fround;

/**
 * Decodes as Matterport does: deltas times the inverse of the weights, the far corner from the near one and the size, each step rounded to float32. Large scales are
 * not clamped.
 */
export class NormalisedTransform extends Box2BoxTransform {
  private readonly stdDev: readonly number[];

  constructor(weights: readonly number[]) {
    super(weights, Infinity);
    this.stdDev = weights.map((weight) => f(1 / weight));
  }

  override decode(deltas: Float32Array, d: number, boxes: Float32Array, b: number, result: Float32Array, r: number): void {
    for (const axis of [0, 1]) {
      const size = f(boxes[b + 2 + axis] - boxes[b + axis]);
      const moved = f(f(deltas[d + axis] * this.stdDev[axis]) * size);
      const centre = f(f(boxes[b + axis] + f(0.5 * size)) + moved);
      const grown = f(size * f(Math.exp(f(deltas[d + 2 + axis] * this.stdDev[2 + axis]))));
      const near = f(centre - f(0.5 * grown));
      result[r + axis] = near;
      result[r + 2 + axis] = near + grown;
    }
  }
}
