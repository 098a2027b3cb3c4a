import { ArgumentError } from '../../errors.js';
import { CropTransform } from './crop.js';
import { Transform, checkSize, like, type Picture, type Raster, type Samples } from './transform.js';

/** Options of {@link PadTransform}, in pixels. */
export interface PadOptions {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  /** Size before padding; only the inverse needs it. */
  readonly original?: { readonly height: number; readonly width: number };
  /** Default 0. */
  readonly value?: number;
  /** In label maps; default 0. */
  readonly labelValue?: number;
}

/** Adds borders, as Detectron2's `PadTransform`. */
export class PadTransform extends Transform {
  constructor(readonly options: PadOptions) {
    super();
    const { left, top, right, bottom } = options;
    if (![left, top, right, bottom].every((v) => Number.isInteger(v) && v >= 0))
      throw new ArgumentError(
        `A padding needs integers from 0, not ${left}, ${top}, ${right}, ${bottom} (left, top, right, bottom).`,
      );
  }

  applyImage(image: Picture): Picture {
    return this.pad(image, this.options.value ?? 0);
  }

  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    return this.pad(labels, this.options.labelValue ?? 0);
  }

  applyCoordinates(points: Float64Array): Float64Array {
    return points.map((v, i) => v + (i % 2 === 0 ? this.options.left : this.options.top));
  }

  override applyRotatedBoxes(boxes: Float64Array): Float64Array {
    return boxes.map((v, i) => (i % 5 === 0 ? v + this.options.left : i % 5 === 1 ? v + this.options.top : v));
  }

  /** The crop that cuts the borders off. @throws ArgumentError without the size before padding */
  override inverse(): Transform {
    const { left, top, right, bottom, original } = this.options;
    if (!original) throw new ArgumentError('A padding can be inverted only when it knows the size before it.');
    const { height, width } = original;
    return new CropTransform(left, top, width, height, { height: height + top + bottom, width: width + left + right });
  }

  private pad<T extends Samples>(raster: Raster<T>, value: number): Raster<T> {
    const { left, top, right, bottom, original } = this.options;
    if (original) checkSize('PadTransform', raster, original.height, original.width);
    const { data, channels } = raster;
    const height = raster.height + top + bottom;
    const width = raster.width + left + right;
    const out = like(data, height * width * channels).fill(value) as T;
    const row = raster.width * channels;
    for (let y = 0; y < raster.height; y++) out.set(data.subarray(y * row, (y + 1) * row), ((top + y) * width + left) * channels);
    return { data: out, height, width, channels };
  }
}
