import { ArgumentError } from '../../errors.js';
import { Transform, like, type Picture, type Raster, type Samples } from './transform.js';

/** A rectangle of the source, which may reach over its borders: x0, y0, x1, y1. */
export type SourceRectangle = readonly [number, number, number, number];

/** Stretches a rectangle of the picture over a new one, as Detectron2's `ExtentTransform` (Pillow's EXTENT); what lies outside is 0. */
export class ExtentTransform extends Transform {
  constructor(
    readonly source: SourceRectangle,
    readonly newHeight: number,
    readonly newWidth: number,
  ) {
    super();
    const [x0, y0, x1, y1] = source;
    const sizes = [newHeight, newWidth].every((v) => Number.isInteger(v) && v > 0);
    if (!sizes || !(x1 > x0 && y1 > y0))
      throw new ArgumentError(
        `An extent needs a rectangle and a size above 0, not ${source.join(', ')} to ${newHeight} x ${newWidth}.`,
      );
  }

  applyImage(image: Picture): Picture {
    const { data, width, height, channels } = image;
    const out = like(data, this.newHeight * this.newWidth * channels);
    const truncates = data instanceof Uint8Array;
    const [columns, rows] = this.places();
    let o = 0;
    for (const y of rows)
      for (const x of columns) {
        if (x < 0 || y < 0 || x >= width || y >= height) {
          o += channels;
          continue;
        }
        const left = Math.floor(x - 0.5);
        const top = Math.floor(y - 0.5);
        const dx = x - 0.5 - left;
        const dy = y - 0.5 - top;
        const [x0, x1] = [Math.max(left, 0), Math.min(left + 1, width - 1)];
        const [y0, y1] = [Math.max(top, 0) * width, Math.min(top + 1, height - 1) * width];
        for (let c = 0; c < channels; c++) {
          const [a, b] = [data[(y0 + x0) * channels + c], data[(y0 + x1) * channels + c]];
          const [d, e] = [data[(y1 + x0) * channels + c], data[(y1 + x1) * channels + c]];
          const upper = a + (b - a) * dx;
          const lower = d + (e - d) * dx;
          const value = upper + (lower - upper) * dy;
          // Pillow cuts the fraction off here.
          out[o++] = truncates ? Math.trunc(value) : value;
        }
      }
    return { data: out, height: this.newHeight, width: this.newWidth, channels };
  }

  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    const { data, width, height, channels } = labels;
    const out = like(data, this.newHeight * this.newWidth * channels);
    const [columns, rows] = this.places();
    let o = 0;
    for (const y of rows)
      for (const x of columns)
        for (let c = 0; c < channels; c++, o++)
          if (x >= 0 && y >= 0 && x < width && y < height) out[o] = data[(Math.floor(y) * width + Math.floor(x)) * channels + c];
    return { data: out, height: this.newHeight, width: this.newWidth, channels };
  }

  applyCoordinates(points: Float64Array): Float64Array {
    const [x0, y0, x1, y1] = this.source;
    return points.map((v, i) => (i % 2 === 0 ? ((v - x0) * this.newWidth) / (x1 - x0) : ((v - y0) * this.newHeight) / (y1 - y0)));
  }

  /** Where the centres of the new columns and rows lie in the source. */
  private places(): [columns: Float64Array, rows: Float64Array] {
    const [x0, y0, x1, y1] = this.source;
    const axis = (from: number, to: number, length: number): Float64Array =>
      Float64Array.from({ length }, (_, i) => from + ((to - from) / length) * (i + 0.5));
    return [axis(x0, x1, this.newWidth), axis(y0, y1, this.newHeight)];
  }
}
