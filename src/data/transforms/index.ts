export { AugmentationList, RandomApply, augment } from './augmentation.js';
export type { Augmentation, AugmentationInput, Augmented, RandomNumbers } from './augmentation.js';
export { CropTransform } from './crop.js';
export {
  FixedSizeCrop,
  RandomCrop,
  RandomCropCategoryAreaConstraint,
  RandomInstanceCrop,
  cropWithInstance,
} from './crop_augmentations.js';
export type { CategoryAreaOptions, CropType, FixedSizeCropOptions } from './crop_augmentations.js';
export { HFlipTransform, VFlipTransform } from './flip.js';
export { RandomFlip } from './flip_augmentation.js';
export { PadTransform, type PadOptions } from './pad.js';
export { ResizeScale, ResizeShortestEdge } from './resize_augmentations.js';
export type { ResizeScaleOptions, ResizeShortestEdgeOptions } from './resize_augmentations.js';
export { ResizeTransform } from './resize_transform.js';
export { NoOpTransform, Transform, TransformList } from './transform.js';
export type { Picture, Raster, Samples } from './transform.js';
export { BlendTransform, GrayscaleTransform, type BlendSource } from './color.js';
export {
  RandomBrightness,
  RandomContrast,
  RandomLighting,
  RandomSaturation,
  ToGrayscale,
  type ChannelOrder,
} from './color_augmentations.js';
export { ExtentTransform, type SourceRectangle } from './extent.js';
export { MinIouRandomCrop, RandomExtent, RandomRotation } from './geometric_augmentations.js';
export type { MinIouRandomCropOptions, RandomRotationOptions } from './geometric_augmentations.js';
export { RotationTransform, type RotationOptions } from './rotation.js';
export { buildAugmentations, type AugmentationSpec } from './augmentation_specs.js';
