import { ArgumentError } from '../../errors.js';
import type { Augmentation, AugmentationInput, RandomNumbers } from './augmentation.js';
import { CropTransform } from './crop.js';
import { ExtentTransform } from './extent.js';
import { RotationTransform } from './rotation.js';
import { NoOpTransform, type Transform } from './transform.js';

/** Options of {@link RandomRotation}. */
export interface RandomRotationOptions {
  /** Degrees counter-clockwise: the two ends of a range, or angles to choose from. */
  readonly angle: readonly number[];
  /** Default `range`. */
  readonly sampling?: 'range' | 'choice';
  /** Grow the picture so that nothing is cut off; default true. */
  readonly expand?: boolean;
  /** Points to turn about, as shares of width and height: two corners of a range, or points to choose from. Default the middle. */
  readonly center?: readonly (readonly [number, number])[];
}

/** Turns by a drawn angle. */
export class RandomRotation implements Augmentation {
  constructor(readonly options: RandomRotationOptions) {
    const { angle, center, sampling = 'range' } = options;
    const fits = (list: readonly unknown[] | undefined): boolean =>
      list === undefined || (sampling === 'range' ? list.length === 2 : list.length > 0);
    if (!fits(angle) || !fits(center))
      throw new ArgumentError(
        `RandomRotation by ${sampling} needs ${sampling === 'range' ? 'two ends' : 'at least one'} of angles and centres.`,
      );
  }

  draw({ image: { height, width } }: AugmentationInput, random: RandomNumbers): Transform {
    const { angle: angles, center: centers, sampling = 'range', expand } = this.options;
    const range = sampling === 'range';
    const angle = range ? random.uniform(angles[0], angles[1]) : angles[random.integer(angles.length)];
    let share: readonly [number, number] | undefined;
    if (centers && range) {
      const [[x0, y0], [x1, y1]] = centers;
      const x = random.uniform(x0, x1);
      share = [x, random.uniform(y0, y1)];
    } else share = centers?.[random.integer(centers.length)];
    if (angle % 360 === 0) return new NoOpTransform();
    const center = share && ([share[0] * width, share[1] * height] as const);
    return new RotationTransform({ height, width, angle, expand, ...(center ? { center } : {}) });
  }
}

/** Scales and shifts the window that is shown: outside of the picture it is black. */
export class RandomExtent implements Augmentation {
  /**
   * @param scale the two ends of the window's size, as shares of the picture's sides
   * @param shift the largest shifts in all, as shares of width and height
   */
  constructor(
    readonly scale: readonly [number, number],
    readonly shift: readonly [number, number],
  ) {}

  draw({ image: { height, width } }: AugmentationInput, random: RandomNumbers): Transform {
    const scale = random.uniform(this.scale[0], this.scale[1]);
    const x = width * (0.5 + this.shift[0] * (random.next() - 0.5));
    const y = height * (0.5 + this.shift[1] * (random.next() - 0.5));
    const [w, h] = [width * scale, height * scale];
    return new ExtentTransform(
      [x - w / 2, y - h / 2, x + w / 2, y + h / 2],
      Math.max(1, Math.trunc(h)),
      Math.max(1, Math.trunc(w)),
    );
  }
}

/** Options of {@link MinIouRandomCrop}. */
export interface MinIouRandomCropOptions {
  /** Overlaps to draw from, besides no crop and any crop; default 0.1, 0.3, 0.5, 0.7, 0.9. */
  readonly minIous?: readonly number[];
  /** Smallest side as a share of the picture's; default 0.3. */
  readonly minSize?: number;
}

/** A crop that all boxes overlap at least so much as drawn, and that holds the centre of one (Liu et al. 2016, SSD). */
export class MinIouRandomCrop implements Augmentation {
  constructor(readonly options: MinIouRandomCropOptions = {}) {}

  draw({ image, boxes }: AugmentationInput, random: RandomNumbers): Transform {
    const { minIous = [0.1, 0.3, 0.5, 0.7, 0.9], minSize = 0.3 } = this.options;
    const modes = [1, ...minIous, 0];
    const { height, width } = image;
    // Detectron2 tries a thousand modes, fifty crops each; a picture that none fits stays as it is.
    for (let trial = 0; boxes && trial < 1000; trial++) {
      const mode = modes[random.integer(modes.length)];
      if (mode === 1) return new NoOpTransform();
      for (let k = 0; k < 50; k++) {
        const w = random.uniform(minSize * width, width);
        const h = random.uniform(minSize * height, height);
        if (h / w < 0.5 || h / w > 2) continue;
        const x = Math.trunc(random.uniform(0, width - w));
        const y = Math.trunc(random.uniform(0, height - h));
        const [cropWidth, cropHeight] = [Math.trunc(w), Math.trunc(h)];
        if (cropWidth === 0 || cropHeight === 0) continue;
        if (suits(boxes, [x, y, x + cropWidth, y + cropHeight], mode))
          return new CropTransform(x, y, cropWidth, cropHeight, image);
      }
    }
    return new NoOpTransform();
  }
}

function suits(boxes: Float64Array, patch: readonly [number, number, number, number], minIou: number): boolean {
  const patchArea = (patch[2] - patch[0]) * (patch[3] - patch[1]);
  let centers = 0;
  for (let i = 0; i < boxes.length; i += 4) {
    const [x0, y0, x1, y1] = boxes.subarray(i, i + 4);
    const w = Math.max(0, Math.min(x1, patch[2]) - Math.max(x0, patch[0]));
    const h = Math.max(0, Math.min(y1, patch[3]) - Math.max(y0, patch[1]));
    const both = w * h;
    if ((both > 0 ? both / ((x1 - x0) * (y1 - y0) + patchArea - both) : 0) < minIou) return false;
    const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
    if (x > patch[0] && y > patch[1] && x < patch[2] && y < patch[3]) centers++;
  }
  return boxes.length === 0 || centers > 0;
}
