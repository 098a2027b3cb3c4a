import type { Random } from '../random.js';
import { NoOpTransform, TransformList, type Picture, type Raster, type Transform } from './transform.js';

/** What augmentations draw from; {@link Random} is one. */
export type RandomNumbers = Pick<Random, 'next' | 'uniform' | 'integer' | 'normal'>;

/** What an augmentation may look at before it decides. */
export interface AugmentationInput {
  readonly image: Picture;
  /** [N * 4] as x0, y0, x1, y1. */
  readonly boxes?: Float64Array;
  /** Class per pixel. */
  readonly labels?: Raster;
}

/** Draws a transform for a picture: all that is random in an augmentation lies here. */
export interface Augmentation {
  draw(input: AugmentationInput, random: RandomNumbers): Transform;
}

/** What came out of {@link augment}. */
export interface Augmented {
  readonly image: Picture;
  readonly boxes?: Float64Array;
  readonly labels?: Raster;
  /** All that was done; applies to what else lies in the picture. */
  readonly transform: TransformList;
}

/** Draws and applies augmentations in order: each sees what the one before made. */
export function augment(input: AugmentationInput, augmentations: readonly Augmentation[], random: RandomNumbers): Augmented {
  const transforms: Transform[] = [];
  let { image, boxes, labels } = input;
  for (const augmentation of augmentations) {
    const transform = augmentation.draw({ image, boxes, labels }, random);
    image = transform.applyImage(image);
    boxes = boxes && transform.applyBoxes(boxes);
    labels = labels && transform.applyLabels(labels);
    transforms.push(transform);
  }
  return { image, ...(boxes ? { boxes } : {}), ...(labels ? { labels } : {}), transform: new TransformList(transforms) };
}

/** Several augmentations as one. */
export class AugmentationList implements Augmentation {
  constructor(readonly augmentations: readonly Augmentation[]) {}

  draw(input: AugmentationInput, random: RandomNumbers): Transform {
    return augment(input, this.augmentations, random).transform;
  }
}

/** Applies an augmentation with some probability (default a half). */
export class RandomApply implements Augmentation {
  constructor(
    readonly augmentation: Augmentation,
    readonly probability = 0.5,
  ) {}

  draw(input: AugmentationInput, random: RandomNumbers): Transform {
    return random.next() < this.probability ? this.augmentation.draw(input, random) : new NoOpTransform();
  }
}
