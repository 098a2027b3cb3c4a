import { ArgumentError } from '../../errors.js';
import type { Augmentation, AugmentationInput, RandomNumbers } from './augmentation.js';
import { CropTransform } from './crop.js';
import { PadTransform } from './pad.js';
import { roundHalfEven } from './rounding.js';
import { NoOpTransform, TransformList, type Transform } from './transform.js';

/** How the size of a crop is meant: shares of the sides, shares from the given ones to 1, pixels, or pixels from the first to the second. */
export type CropType = 'relative' | 'relative_range' | 'absolute' | 'absolute_range';

/** Crops a window of a size that may be drawn, at a drawn place, as Detectron2's `RandomCrop`. */
export class RandomCrop implements Augmentation {
  /**
   * @param size height and width, shares or pixels; for `absolute_range` the smallest and the largest side
   * @throws ArgumentError for a share above 1 or a range upside down
   */
  constructor(
    readonly type: CropType,
    readonly size: readonly [number, number],
  ) {
    const relative = type.startsWith('relative');
    if (!size.every((v) => v > 0 && (relative ? v <= 1 : Number.isInteger(v))))
      throw new ArgumentError(
        `RandomCrop of type ${type} needs ${relative ? 'shares above 0 up to 1' : 'whole pixels above 0'}, got ${size[0]}, ${size[1]}.`,
      );
    if (type === 'absolute_range' && size[0] > size[1])
      throw new ArgumentError(`RandomCrop of type absolute_range needs the smaller side first, got ${size[0]}, ${size[1]}.`);
  }

  draw({ image }: AugmentationInput, random: RandomNumbers): Transform {
    const [height, width] = this.drawSize(image.height, image.width, random);
    const y0 = random.integer(image.height - height + 1);
    const x0 = random.integer(image.width - width + 1);
    return new CropTransform(x0, y0, width, height, image);
  }

  /** @returns [height, width] */
  drawSize(height: number, width: number, random: RandomNumbers): [number, number] {
    const [a, b] = this.size;
    switch (this.type) {
      case 'relative':
        return [Math.floor(height * a + 0.5), Math.floor(width * b + 0.5)];
      case 'relative_range': {
        // Detectron2 keeps the smallest shares in float32.
        const share = (v: number): number => Math.fround(v) + random.next() * Math.fround(1 - Math.fround(v));
        const [h, w] = [share(a), share(b)];
        return [Math.floor(height * h + 0.5), Math.floor(width * w + 0.5)];
      }
      case 'absolute':
        return [Math.min(a, height), Math.min(b, width)];
      case 'absolute_range': {
        const side = (length: number): number => {
          const low = Math.min(length, a);
          return low + random.integer(Math.min(length, b) + 1 - low);
        };
        const h = side(height);
        return [h, side(width)];
      }
    }
  }
}

/** Options of {@link RandomCropCategoryAreaConstraint}. */
export interface CategoryAreaOptions {
  /** A crop in which one class covers at least this share is drawn again, ten times at most. */
  readonly maxArea: number;
  /** A class that does not count, such as 255. */
  readonly ignoredCategory?: number;
}

/** A random crop that no class of the label map fills: Detectron2's `RandomCrop_CategoryAreaConstraint`. */
export class RandomCropCategoryAreaConstraint implements Augmentation {
  private readonly crop: RandomCrop;

  constructor(
    type: CropType,
    size: readonly [number, number],
    readonly options: CategoryAreaOptions,
  ) {
    this.crop = new RandomCrop(type, size);
  }

  draw(input: AugmentationInput, random: RandomNumbers): Transform {
    if (this.options.maxArea >= 1) return this.crop.draw(input, random);
    const { labels } = input;
    if (!labels) throw new ArgumentError('RandomCropCategoryAreaConstraint needs a label map.');
    let transform = this.crop.draw(input, random);
    for (let trial = 1; trial < 10 && !this.accepts(transform.applyLabels(labels).data); trial++)
      transform = this.crop.draw(input, random);
    return transform;
  }

  private accepts(labels: ArrayLike<number>): boolean {
    const counts = new Map<number, number>();
    for (let i = 0; i < labels.length; i++) counts.set(labels[i], (counts.get(labels[i]) ?? 0) + 1);
    if (this.options.ignoredCategory !== undefined) counts.delete(this.options.ignoredCategory);
    const values = [...counts.values()];
    const total = values.reduce((sum, v) => sum + v, 0);
    return values.length > 1 && Math.max(...values) < total * this.options.maxArea;
  }
}

/**
 * A crop that holds the centre of a box: Detectron2's `gen_crop_transform_with_instance`.
 * @param size height and width of the crop in pixels; cut down to the picture's
 * @param box x0, y0, x1, y1
 * @throws ArgumentError when the box lies outside the picture
 */
export function cropWithInstance(
  size: readonly [number, number],
  image: { readonly height: number; readonly width: number },
  box: ArrayLike<number>,
  random: RandomNumbers,
): CropTransform {
  const range = (crop: number, length: number, low: number, high: number): [number, number] => {
    const center = (low + high) * 0.5;
    if (!(length >= high && high >= 0 && low <= length && low >= 0 - (high - low)))
      throw new ArgumentError(`The box of the object to crop around lies outside the picture: ${Array.from(box).join(', ')}.`);
    const first = Math.max(Math.floor(center) - crop, 0);
    const last = Math.min(Math.max(length - crop, 0), Math.ceil(center));
    return [first, last + 1 - first];
  };
  const height = Math.min(size[0], image.height);
  const width = Math.min(size[1], image.width);
  const [top, rows] = range(size[0], image.height, box[1], box[3]);
  const [left, columns] = range(size[1], image.width, box[0], box[2]);
  const y0 = top + random.integer(rows);
  const x0 = left + random.integer(columns);
  return new CropTransform(x0, y0, width, height, image);
}

/** A crop around an object drawn among those of the picture; without objects nothing is cropped. */
export class RandomInstanceCrop implements Augmentation {
  /** @param size height and width in pixels */
  constructor(readonly size: readonly [number, number]) {}

  draw({ image, boxes }: AugmentationInput, random: RandomNumbers): Transform {
    if (!boxes || boxes.length === 0) return new NoOpTransform();
    const i = random.integer(boxes.length / 4) * 4;
    const clip = (v: number, limit: number): number => Math.min(Math.max(v, 0), limit);
    const { width, height } = image;
    const box = [clip(boxes[i], width), clip(boxes[i + 1], height), clip(boxes[i + 2], width), clip(boxes[i + 3], height)];
    return cropWithInstance(this.size, image, box, random);
  }
}

/** Options of {@link FixedSizeCrop}. */
export interface FixedSizeCropOptions {
  readonly height: number;
  readonly width: number;
  /** Pad smaller pictures at the right and below; default true. */
  readonly pad?: boolean;
  /** Default 128. */
  readonly padValue?: number;
  /** In label maps; default 255. */
  readonly labelPadValue?: number;
}

/** Crops, and pads, to one size: the second half of large-scale jitter. */
export class FixedSizeCrop implements Augmentation {
  constructor(readonly options: FixedSizeCropOptions) {}

  draw({ image }: AugmentationInput, random: RandomNumbers): Transform {
    const { height, width, pad = true, padValue = 128, labelPadValue = 255 } = this.options;
    // One number for both axes, as Detectron2 draws it.
    const share = random.uniform(0, 1);
    const y0 = roundHalfEven(Math.max(image.height - height, 0) * share);
    const x0 = roundHalfEven(Math.max(image.width - width, 0) * share);
    const crop = new CropTransform(x0, y0, width, height, image);
    if (!pad) return crop;
    const original = { height: Math.min(image.height, height), width: Math.min(image.width, width) };
    const right = width - original.width;
    const bottom = height - original.height;
    return new TransformList([
      crop,
      new PadTransform({ left: 0, top: 0, right, bottom, original, value: padValue, labelValue: labelPadValue }),
    ]);
  }
}
