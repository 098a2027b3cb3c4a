import { resizeBilinear, resizeNearest, resizeNearestLabels, type LabelArray } from '../resize/resize.js';
import { resizeBilinearFloat } from '../resize/resize_float.js';
import { Transform, checkSize, type Picture, type Raster, type Samples } from './transform.js';

/**
 * Resizes: Pillow's bilinear filter for 8-bit pictures, PyTorch's (no antialias) for float32 ones, nearest for label maps, as Detectron2's
 * `ResizeTransform`.
 */
export class ResizeTransform extends Transform {
  constructor(
    readonly height: number,
    readonly width: number,
    readonly newHeight: number,
    readonly newWidth: number,
  ) {
    super();
  }

  applyImage(image: Picture): Picture {
    const { height, width } = this.check(image);
    const { data, channels } = image;
    if (data instanceof Uint8Array) return { data: resizeBilinear({ ...image, data }, height, width), height, width, channels };
    return { data: resizeBilinearFloat({ ...image, data }, height, width), height, width, channels };
  }

  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    const { height, width } = this.check(labels);
    const source: Raster = labels;
    const data =
      source.data instanceof Uint8Array
        ? resizeNearest({ ...source, data: source.data }, height, width)
        : resizeNearestLabels({ ...source, data: source.data as LabelArray }, height, width);
    return { data: data as T, height, width, channels: labels.channels };
  }

  applyCoordinates(points: Float64Array): Float64Array {
    const x = this.newWidth / this.width;
    const y = this.newHeight / this.height;
    return points.map((v, i) => v * (i % 2 === 0 ? x : y));
  }

  /** A rectangle under different scales is a parallelogram; this is Detectron2's rectangle for it. */
  override applyRotatedBoxes(boxes: Float64Array): Float64Array {
    const x = this.newWidth / this.width;
    const y = this.newHeight / this.height;
    const out = new Float64Array(boxes.length);
    for (let i = 0; i < boxes.length; i += 5) {
      const theta = (boxes[i + 4] * Math.PI) / 180;
      const cos = Math.cos(theta);
      const sin = Math.sin(theta);
      out[i] = boxes[i] * x;
      out[i + 1] = boxes[i + 1] * y;
      out[i + 2] = boxes[i + 2] * Math.hypot(x * cos, y * sin);
      out[i + 3] = boxes[i + 3] * Math.hypot(x * sin, y * cos);
      out[i + 4] = (Math.atan2(x * sin, y * cos) * 180) / Math.PI;
    }
    return out;
  }

  override inverse(): Transform {
    return new ResizeTransform(this.newHeight, this.newWidth, this.height, this.width);
  }

  private check(raster: Raster): { height: number; width: number } {
    checkSize('ResizeTransform', raster, this.height, this.width);
    return { height: this.newHeight, width: this.newWidth };
  }
}
