/** What of `maskrcnn-ts/data` runs anywhere, a browser included: all but the decoding of picture files and the loader with its threads. */
export * from './annotations/index.js';
export * from './coco/index.js';
export * from './dataset_mapper.js';
export * from './dataset/index.js';
export { rgbToYuv } from './image_io/pixel_formats.js';
export type { Image, ImageFormat } from './image_io/pixel_formats.js';
export * from './mix/index.js';
export { polygonArea } from './polygon_area.js';
export * from './random.js';
export * from './resize/resize.js';
export * from './rle/index.js';
export * from './samplers/index.js';
export * from './transforms/index.js';
export type { GroundTruth, MaskAnnotation, TrainingSample } from '../structures/training_sample.js';
