import { ArgumentError } from '../../errors.js';
import { nearestNames } from '../../nearest_names.js';
import { augmentations } from '../../registry/registries.js';
import { RandomApply, type Augmentation } from './augmentation.js';
import { RandomBrightness, RandomContrast, RandomLighting, RandomSaturation, ToGrayscale } from './color_augmentations.js';
import { FixedSizeCrop, RandomCrop, RandomCropCategoryAreaConstraint, RandomInstanceCrop } from './crop_augmentations.js';
import { RandomFlip } from './flip_augmentation.js';
import { MinIouRandomCrop, RandomExtent, RandomRotation } from './geometric_augmentations.js';
import { ResizeScale, ResizeShortestEdge } from './resize_augmentations.js';

const CLASSES = {
  FixedSizeCrop,
  MinIouRandomCrop,
  RandomBrightness,
  RandomContrast,
  RandomCrop,
  RandomCropCategoryAreaConstraint,
  RandomExtent,
  RandomFlip,
  RandomInstanceCrop,
  RandomLighting,
  RandomRotation,
  RandomSaturation,
  ResizeScale,
  ResizeShortestEdge,
  ToGrayscale,
} as const;

/**
 * An augmentation as plain data, so that it can be written in a file or sent to a thread: the class's name and its constructor's arguments,
 * applied with some probability (default always).
 */
export type AugmentationSpec = BuiltInSpec | RegisteredSpec;

/** An augmentation of one's own, by the name that it was registered under. */
export interface RegisteredSpec {
  readonly name: string;
  readonly args?: readonly unknown[];
  readonly probability?: number;
}

type BuiltInSpec = {
  [Name in keyof typeof CLASSES]: {
    readonly name: Name;
    readonly args?: Readonly<ConstructorParameters<(typeof CLASSES)[Name]>>;
    readonly probability?: number;
  };
}[keyof typeof CLASSES];

/** Whether all are the library's own: threads do not know what this process has registered. */
export function areBuiltIn(specs: readonly AugmentationSpec[]): boolean {
  return specs.every(({ name }) => Object.hasOwn(CLASSES, name));
}

/**
 * Builds augmentations from plain data.
 * @throws ArgumentError for an unknown name, or arguments that the class refuses
 */
export function buildAugmentations(specs: readonly AugmentationSpec[]): Augmentation[] {
  return specs.map(({ name, args = [], probability }) => {
    const found = Object.hasOwn(CLASSES, name) ? CLASSES[name as keyof typeof CLASSES] : augmentations.get(name);
    if (!found) {
      const near = nearestNames(String(name), [...Object.keys(CLASSES), ...augmentations.names()]);
      throw new ArgumentError(`There is no augmentation ${String(name)}; near it: ${near.join(', ')}.`);
    }
    const Class = found as unknown as new (...args: readonly unknown[]) => Augmentation;
    const augmentation = new Class(...args);
    return probability === undefined ? augmentation : new RandomApply(augmentation, probability);
  });
}
