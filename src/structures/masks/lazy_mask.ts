import type { Rle } from '../../data/rle/rle.js';
import { ArgumentError } from '../../errors.js';
import { pasteMask, pasteMaskToRle, pastedMaskArea, pasteSoftMask } from '../../ops/mask_paste/mask_paste.js';
import type { MaskCrop } from '../../ops/mask_paste/mask_paste.js';
import { traceContours } from './contours.js';
import type { Contour } from './contours.js';

/** A piece of a picture with everything but the instance transparent. */
export interface Cutout {
  /** [height, width, 4] RGBA; alpha is 255 on the instance, 0 elsewhere (where the colour is 0 too). */
  data: Uint8Array;
  height: number;
  width: number;
  /** Place of the top left pixel in the image. */
  x0: number;
  y0: number;
}

/** A predicted mask as the model leaves it: a small square of probabilities and the box it covers. Pixels are made when someone asks. */
export class InstanceMask {
  /** Side of the square of probabilities (28 for most models). */
  readonly size: number;

  /**
   * @param probabilities float32 [M, M] row-major
   * @param box x0, y0, x1, y1 in pixels of the image
   * @param threshold least probability that counts as instance, in (0, 1]
   * @throws ArgumentError when the probabilities are not square or the box has not four numbers
   */
  constructor(
    readonly probabilities: Float32Array,
    readonly box: ArrayLike<number>,
    readonly imageHeight: number,
    readonly imageWidth: number,
    readonly threshold = 0.5,
  ) {
    this.size = Math.round(Math.sqrt(probabilities.length));
    if (this.size * this.size !== probabilities.length || this.size === 0) {
      throw new ArgumentError(`InstanceMask: ${probabilities.length} probabilities do not make a square mask`);
    }
    if (box.length !== 4) throw new ArgumentError(`InstanceMask: a box has 4 numbers (x0, y0, x1, y1), not ${box.length}`);
  }

  /** The pixels around the box; everything outside the crop is background. */
  crop(): MaskCrop {
    return pasteMask(this.probabilities, this.size, this.box, this.imageHeight, this.imageWidth, this.threshold);
  }

  /** The whole image: [imageHeight, imageWidth] row-major, 0 or 1. */
  toBitmap(): Uint8Array {
    return this.inImage(this.crop());
  }

  /** How probable each pixel of the whole image is: [imageHeight, imageWidth] row-major, 0 to 255, for edges that fade. */
  toSoft(): Uint8Array {
    return this.inImage(pasteSoftMask(this.probabilities, this.size, this.box, this.imageHeight, this.imageWidth));
  }

  private inImage({ x0, y0, x1, y1, bitmap }: MaskCrop): Uint8Array {
    const width = x1 - x0;
    const out = new Uint8Array(this.imageHeight * this.imageWidth);
    for (let y = y0; y < y1; y++) out.set(bitmap.subarray((y - y0) * width, (y - y0 + 1) * width), y * this.imageWidth + x0);
    return out;
  }

  /** COCO run lengths of the whole image. */
  toRle(): Rle {
    return pasteMaskToRle(this.probabilities, this.size, this.box, this.imageHeight, this.imageWidth, this.threshold);
  }

  /** Outlines along the pixel grid in image pixels, outer ones and holes; filled with the even-odd rule they give the mask back. */
  polygons(): Contour[] {
    const { x0, y0, x1, y1, bitmap } = this.crop();
    return traceContours(bitmap, y1 - y0, x1 - x0, x0, y0);
  }

  /** Number of pixels. */
  area(): number {
    return pastedMaskArea(this.probabilities, this.size, this.box, this.imageHeight, this.imageWidth, this.threshold);
  }

  /**
   * The instance alone, cut out of its picture.
   * @param image uint8 [imageHeight, imageWidth, 3] RGB
   * @throws ArgumentError when the picture is not the one that the mask belongs to, by its size
   */
  cutout(image: { data: Uint8Array; height: number; width: number }): Cutout {
    if (
      image.height !== this.imageHeight ||
      image.width !== this.imageWidth ||
      image.data.length !== image.height * image.width * 3
    ) {
      throw new ArgumentError(
        `cutout: expected RGB samples of ${this.imageHeight} x ${this.imageWidth} x 3, got ${image.data.length} samples for ${image.height} x ${image.width}`,
      );
    }
    const { x0, y0, x1, y1, bitmap } = this.crop();
    const width = x1 - x0;
    const height = y1 - y0;
    const data = new Uint8Array(width * height * 4);
    for (let p = 0; p < bitmap.length; p++) {
      if (!bitmap[p]) continue;
      const x = p % width;
      const s = ((y0 + (p - x) / width) * image.width + x0 + x) * 3;
      data[p * 4] = image.data[s];
      data[p * 4 + 1] = image.data[s + 1];
      data[p * 4 + 2] = image.data[s + 2];
      data[p * 4 + 3] = 255;
    }
    return { data, height, width, x0, y0 };
  }
}
