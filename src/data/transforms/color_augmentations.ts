import type { Augmentation, AugmentationInput, RandomNumbers } from './augmentation.js';
import { BlendTransform, GrayscaleTransform, brightness, reversed } from './color.js';
import type { Transform } from './transform.js';

/** Order of a picture's channels. */
export type ChannelOrder = 'RGB' | 'BGR';

/** Multiplies all samples by a drawn factor. */
export class RandomBrightness implements Augmentation {
  constructor(
    readonly low: number,
    readonly high: number,
  ) {}

  draw(_: AugmentationInput, random: RandomNumbers): Transform {
    const weight = random.uniform(this.low, this.high);
    return new BlendTransform(0, 1 - weight, weight);
  }
}

/** Draws samples to the mean of all of them, or away from it. */
export class RandomContrast implements Augmentation {
  constructor(
    readonly low: number,
    readonly high: number,
  ) {}

  draw({ image: { data } }: AugmentationInput, random: RandomNumbers): Transform {
    const weight = random.uniform(this.low, this.high);
    let sum = 0;
    for (let i = 0; i < data.length; i++) sum += data[i];
    return new BlendTransform(sum / data.length, 1 - weight, weight);
  }
}

/** Draws samples to their pixel's gray, or away from it. */
export class RandomSaturation implements Augmentation {
  /** @param order of the pictures' channels; default RGB (Detectron2 takes all pictures for RGB) */
  constructor(
    readonly low: number,
    readonly high: number,
    readonly order: ChannelOrder = 'RGB',
  ) {}

  draw({ image }: AugmentationInput, random: RandomNumbers): Transform {
    const weight = random.uniform(this.low, this.high);
    return new BlendTransform(brightness(this.order === 'RGB' ? image : reversed(image)), 1 - weight, weight);
  }
}

/** Principal components of the colours of ImageNet (Krizhevsky et al. 2012), rows red, green, blue. */
const EIGEN_VECTORS = [
  [-0.5675, 0.7192, 0.4009],
  [-0.5808, -0.0045, -0.814],
  [-0.5836, -0.6948, 0.4203],
];
const EIGEN_VALUES = [0.2175, 0.0188, 0.0045];

/** Adds a drawn colour along the principal components of natural pictures. */
export class RandomLighting implements Augmentation {
  /**
   * @param scale standard deviation of the weights. The components are in the unit of samples from 0 to 1, and Detectron2 adds them as they
   * are: for samples up to 255 that is hardly seen below a scale of 25
   * @param order of the pictures' channels; default RGB
   */
  constructor(
    readonly scale: number,
    readonly order: ChannelOrder = 'RGB',
  ) {}

  draw(_: AugmentationInput, random: RandomNumbers): Transform {
    const weights = EIGEN_VALUES.map((value) => random.normal() * this.scale * value);
    const added = EIGEN_VECTORS.map((row) => row.reduce((sum, v, k) => sum + v * weights[k], 0));
    return new BlendTransform(this.order === 'RGB' ? added : added.reverse(), 1, 1);
  }
}

/** Makes pictures gray, always; wrap it in `RandomApply`. */
export class ToGrayscale implements Augmentation {
  /** @param order of the pictures' channels; default RGB */
  constructor(readonly order: ChannelOrder = 'RGB') {}

  draw(): Transform {
    return new GrayscaleTransform(this.order);
  }
}
