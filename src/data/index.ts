/** Pictures, run-length masks and COCO files, without tensors. */
export * from './coco/index.js';
export * from './image_io/read_image.js';
export * from './resize/resize.js';
export * from './rle/index.js';
