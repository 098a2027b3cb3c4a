import { encodeRle, type Rle } from '../../data/rle/rle.js';
import type { MaskCrop } from '../../ops/mask_paste/mask_paste.js';
import { InstanceMask } from './lazy_mask.js';

/** A mask that is known by its pixels: what several masks cover together. */
export class UnionMask extends InstanceMask {
  private readonly pixels: MaskCrop;

  /**
   * @param crops what is joined, at least one; in pixels of the image
   * @param box   x0, y0, x1, y1 of the instance
   */
  constructor(crops: readonly MaskCrop[], box: ArrayLike<number>, imageHeight: number, imageWidth: number) {
    // The probabilities of a mask that fills its box: nothing here is made from them.
    super(Float32Array.of(1), box, imageHeight, imageWidth);
    this.pixels = joined(crops);
  }

  override crop(): MaskCrop {
    return { ...this.pixels, bitmap: this.pixels.bitmap.slice() };
  }

  override toRle(): Rle {
    return encodeRle(this.toBitmap(), this.imageHeight, this.imageWidth, 'row');
  }

  override area(): number {
    return this.pixels.bitmap.reduce((sum, on) => sum + on, 0);
  }
}

function joined(crops: readonly MaskCrop[]): MaskCrop {
  const [x0, y0] = [Math.min(...crops.map((crop) => crop.x0)), Math.min(...crops.map((crop) => crop.y0))];
  const [x1, y1] = [Math.max(...crops.map((crop) => crop.x1)), Math.max(...crops.map((crop) => crop.y1))];
  const bitmap = new Uint8Array((x1 - x0) * (y1 - y0));
  for (const crop of crops) {
    const width = crop.x1 - crop.x0;
    for (let i = 0; i < crop.bitmap.length; i++) {
      const column = i % width;
      if (crop.bitmap[i]) bitmap[(crop.y0 - y0 + (i - column) / width) * (x1 - x0) + crop.x0 - x0 + column] = 1;
    }
  }
  return { x0, y0, x1, y1, bitmap };
}
