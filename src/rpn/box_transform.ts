/** Deltas of a larger scale than this would overflow: log(1000 / 16). */
export const SCALE_CLAMP = Math.log(1000 / 16);

const f = Math.fround;

/**
 * Boxes as deltas to other boxes (Girshick et al. 2014, appendix C; Detectron2's `Box2BoxTransform`), every step rounded to float32.
 * dw and dh are clamped from above only.
 */
export class Box2BoxTransform {
  /** Of dx, dy, dw, dh. */
  readonly weights: readonly number[];

  constructor(
    weights: readonly number[],
    readonly scaleClamp = f(SCALE_CLAMP),
  ) {
    this.weights = weights.map(f);
  }

  /**
   * @param source [R, 4] boxes (x0, y0, x1, y1)
   * @param target [R, 4] boxes in the same frame
   * @returns      [R, 4] deltas (dx, dy, dw, dh)
   */
  getDeltas(source: Float32Array, target: Float32Array): Float32Array<ArrayBuffer> {
    const [wx, wy, ww, wh] = this.weights;
    const deltas = new Float32Array(source.length);
    for (let i = 0; i < source.length; i += 4) {
      const sourceWidth = f(source[i + 2] - source[i]);
      const sourceHeight = f(source[i + 3] - source[i + 1]);
      const targetWidth = f(target[i + 2] - target[i]);
      const targetHeight = f(target[i + 3] - target[i + 1]);
      const sourceX = f(source[i] + f(0.5 * sourceWidth));
      const sourceY = f(source[i + 1] + f(0.5 * sourceHeight));
      const targetX = f(target[i] + f(0.5 * targetWidth));
      const targetY = f(target[i + 1] + f(0.5 * targetHeight));
      deltas[i] = f(f(wx * f(targetX - sourceX)) / sourceWidth);
      deltas[i + 1] = f(f(wy * f(targetY - sourceY)) / sourceHeight);
      deltas[i + 2] = ww * f(Math.log(f(targetWidth / sourceWidth)));
      deltas[i + 3] = wh * f(Math.log(f(targetHeight / sourceHeight)));
    }
    return deltas;
  }

  /**
   * @param deltas [R, 4k], k boxes per row
   * @param boxes  [R, 4]
   * @returns      [R, 4k] boxes (x0, y0, x1, y1), not clipped
   */
  applyDeltas(deltas: Float32Array, boxes: Float32Array): Float32Array<ArrayBuffer> {
    const result = new Float32Array(deltas.length);
    const rows = boxes.length / 4;
    const perRow = rows === 0 ? 0 : deltas.length / rows;
    for (let row = 0, at = 0; row < rows; row++) {
      for (let k = 0; k < perRow; k += 4, at += 4) this.decode(deltas, at, boxes, row * 4, result, at);
    }
    return result;
  }

  /** Decodes the one box at `deltas[d..d+4]` against `boxes[b..b+4]` into `result[r..r+4]`. */
  decode(deltas: Float32Array, d: number, boxes: Float32Array, b: number, result: Float32Array, r: number): void {
    const [wx, wy, ww, wh] = this.weights;
    const width = f(boxes[b + 2] - boxes[b]);
    const height = f(boxes[b + 3] - boxes[b + 1]);
    const x = f(boxes[b] + f(0.5 * width));
    const y = f(boxes[b + 1] + f(0.5 * height));
    const dw = Math.min(f(deltas[d + 2] / ww), this.scaleClamp);
    const dh = Math.min(f(deltas[d + 3] / wh), this.scaleClamp);
    const centreX = f(f(f(deltas[d] / wx) * width) + x);
    const centreY = f(f(f(deltas[d + 1] / wy) * height) + y);
    const halfWidth = f(0.5 * f(f(Math.exp(dw)) * width));
    const halfHeight = f(0.5 * f(f(Math.exp(dh)) * height));
    result[r] = centreX - halfWidth;
    result[r + 1] = centreY - halfHeight;
    result[r + 2] = centreX + halfWidth;
    result[r + 3] = centreY + halfHeight;
  }
}
