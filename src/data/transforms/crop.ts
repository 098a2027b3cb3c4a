import { ArgumentError } from '../../errors.js';
import { clipPolygon } from './clip_polygon.js';
import { PadTransform } from './pad.js';
import { Transform, checkSize, like, type Picture, type Raster, type Samples } from './transform.js';

/** A window of a picture; it may reach over the right and the lower border, where it ends at the border, as Detectron2's `CropTransform`. */
export class CropTransform extends Transform {
  /**
   * @param x0 left border of the window
   * @param y0 upper border
   * @param original size of the picture; only the inverse needs it
   */
  constructor(
    readonly x0: number,
    readonly y0: number,
    readonly width: number,
    readonly height: number,
    readonly original?: { readonly height: number; readonly width: number },
  ) {
    super();
    if (![x0, y0, width, height].every((v) => Number.isInteger(v) && v >= 0))
      throw new ArgumentError(`A crop needs integers from 0, not x0 ${x0}, y0 ${y0}, width ${width}, height ${height}.`);
  }

  applyImage(image: Picture): Picture {
    return this.applyLabels(image);
  }

  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    if (this.original) checkSize('CropTransform', labels, this.original.height, this.original.width);
    const { data, channels } = labels;
    const width = Math.max(0, Math.min(this.width, labels.width - this.x0));
    const height = Math.max(0, Math.min(this.height, labels.height - this.y0));
    const out = like(data, height * width * channels);
    for (let y = 0; y < height; y++) {
      const start = ((this.y0 + y) * labels.width + this.x0) * channels;
      out.set(data.subarray(start, start + width * channels), y * width * channels);
    }
    return { data: out, height, width, channels };
  }

  applyCoordinates(points: Float64Array): Float64Array {
    return points.map((v, i) => v - (i % 2 === 0 ? this.x0 : this.y0));
  }

  /** Polygons are cut by the window: what is outside is gone, and a concave one may fall into several. */
  override applyPolygons(polygons: readonly Float64Array[]): Float64Array[] {
    const { x0, y0 } = this;
    const window = { x0, y0, x1: x0 + this.width, y1: y0 + this.height };
    return polygons.flatMap((polygon) => clipPolygon(polygon, window)).map((polygon) => this.applyCoordinates(polygon));
  }

  override applyRotatedBoxes(boxes: Float64Array): Float64Array {
    return boxes.map((v, i) => (i % 5 === 0 ? v - this.x0 : i % 5 === 1 ? v - this.y0 : v));
  }

  /** Pads what was cut off with zeros. @throws ArgumentError without the size of the picture */
  override inverse(): Transform {
    if (!this.original) throw new ArgumentError('A crop can be inverted only when it knows the size of the picture.');
    const { height, width } = this.original;
    return new PadTransform({
      left: this.x0,
      top: this.y0,
      right: width - this.x0 - this.width,
      bottom: height - this.y0 - this.height,
      original: { height: this.height, width: this.width },
    });
  }
}
