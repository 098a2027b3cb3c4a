/** Pictures, run-length masks, COCO files, augmentation and training batches, without tensors. */
export * from './annotations/index.js';
export * from './coco/index.js';
export * from './dataset_mapper.js';
export * from './dataset/index.js';
export * from './image_io/read_image.js';
export { rgbToYuv } from './image_io/pixel_formats.js';
export * from './loader/index.js';
export * from './mix/index.js';
export { polygonArea } from './polygon_area.js';
export * from './random.js';
export * from './resize/resize.js';
export * from './rle/index.js';
export * from './samplers/index.js';
export * from './transforms/index.js';
export type { GroundTruth, MaskAnnotation, TrainingSample } from '../structures/training_sample.js';
