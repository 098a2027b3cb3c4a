import { ArgumentError } from '../../errors.js';
import { CropTransform } from './crop.js';
import { roundHalfEven } from './rounding.js';
import { Transform, TransformList, checkSize, type Picture, type Raster, type Samples } from './transform.js';
import { invertAffine, warpBilinear, warpNearest, type Affine } from './warp.js';

/** Options of {@link RotationTransform}. */
export interface RotationOptions {
  /** Size of the picture. */
  readonly height: number;
  readonly width: number;
  /** Degrees counter-clockwise. */
  readonly angle: number;
  /** Grow the picture so that nothing is cut off; default true. */
  readonly expand?: boolean;
  /** x and y in pixels; default the middle of the picture. */
  readonly center?: readonly [number, number];
}

/** Turns a picture about a point, as Detectron2's `RotationTransform` (OpenCV's `warpAffine`); corners that nothing covers are 0. */
export class RotationTransform extends Transform {
  /** Size of the turned picture. */
  readonly newHeight: number;
  readonly newWidth: number;
  /** Of coordinates: [a, b, c, d, e, f] makes x' = a x + b y + c, y' = d x + e y + f. */
  readonly matrix: Affine;
  /** Of pixel numbers, whose centres lie half a pixel further. */
  readonly pixelMatrix: Affine;

  constructor(readonly options: RotationOptions) {
    super();
    const { height, width, angle, expand = true } = options;
    if (!Number.isFinite(angle)) throw new ArgumentError(`A rotation needs an angle in degrees, not ${angle}.`);
    const cos = Math.abs(Math.cos((angle * Math.PI) / 180));
    const sin = Math.abs(Math.sin((angle * Math.PI) / 180));
    this.newWidth = expand ? roundHalfEven(height * sin + width * cos) : width;
    this.newHeight = expand ? roundHalfEven(height * cos + width * sin) : height;
    this.matrix = this.rotation(0);
    this.pixelMatrix = this.rotation(-0.5);
  }

  applyImage(image: Picture): Picture {
    checkSize('RotationTransform', image, this.options.height, this.options.width);
    if (this.options.angle % 360 === 0) return image;
    return warpBilinear(image, invertAffine(this.pixelMatrix), this.newHeight, this.newWidth);
  }

  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    checkSize('RotationTransform', labels, this.options.height, this.options.width);
    if (this.options.angle % 360 === 0) return labels;
    return warpNearest(labels, invertAffine(this.pixelMatrix), this.newHeight, this.newWidth);
  }

  applyCoordinates(points: Float64Array): Float64Array {
    if (this.options.angle % 360 === 0) return points.slice();
    const [a, b, c, d, e, f] = this.matrix;
    return points.map((v, i) => (i % 2 === 0 ? a * v + b * points[i + 1] + c : d * points[i - 1] + e * v + f));
  }

  override applyRotatedBoxes(boxes: Float64Array): Float64Array {
    const centers = new Float64Array((boxes.length / 5) * 2);
    for (let i = 0; i < centers.length; i++) centers[i] = boxes[(i >> 1) * 5 + (i & 1)];
    const moved = this.applyCoordinates(centers);
    return boxes.map((v, i) => {
      const part = i % 5;
      if (part < 2) return moved[((i - part) / 5) * 2 + part];
      return part === 4 ? v + this.options.angle : v;
    });
  }

  /** Turns back and cuts off what growing added. @throws ArgumentError when corners were cut off (`expand: false`) */
  override inverse(): Transform {
    const { height, width, angle, expand = true } = this.options;
    if (!expand) throw new ArgumentError('A rotation that cuts off corners has no inverse.');
    const back = new RotationTransform({ height: this.newHeight, width: this.newWidth, angle: -angle });
    const left = Math.floor((back.newWidth - width) / 2);
    const top = Math.floor((back.newHeight - height) / 2);
    return new TransformList([
      back,
      new CropTransform(left, top, width, height, { height: back.newHeight, width: back.newWidth }),
    ]);
  }

  private rotation(offset: number): Affine {
    const { height, width, angle, expand = true, center = [width / 2, height / 2] } = this.options;
    const cos = Math.cos((angle * Math.PI) / 180);
    const sin = Math.sin((angle * Math.PI) / 180);
    const x = center[0] + offset;
    const y = center[1] + offset;
    const matrix: Affine = [cos, sin, (1 - cos) * x - sin * y, -sin, cos, sin * x + (1 - cos) * y];
    if (!expand) return matrix;
    // The middle of the picture becomes the middle of the grown one.
    const middleX = width / 2 + offset;
    const middleY = height / 2 + offset;
    matrix[2] += this.newWidth / 2 + offset - (cos * middleX + sin * middleY + matrix[2]);
    matrix[5] += this.newHeight / 2 + offset - (-sin * middleX + cos * middleY + matrix[5]);
    return matrix;
  }
}
