import type { Augmentation, AugmentationInput, RandomNumbers } from './augmentation.js';
import { HFlipTransform, VFlipTransform } from './flip.js';
import { NoOpTransform, type Transform } from './transform.js';

/** Flips with some probability (default a half), left to right unless told. */
export class RandomFlip implements Augmentation {
  constructor(
    readonly direction: 'horizontal' | 'vertical' = 'horizontal',
    readonly probability = 0.5,
  ) {}

  draw({ image }: AugmentationInput, random: RandomNumbers): Transform {
    if (!(random.next() < this.probability)) return new NoOpTransform();
    return this.direction === 'horizontal' ? new HFlipTransform(image.width) : new VFlipTransform(image.height);
  }
}
