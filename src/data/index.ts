/** Pictures, run-length masks, COCO files, augmentation and training batches, without tensors. */
export * from './portable.js';
export * from './image_io/read_image.js';
export { readSemanticLabels } from './image_io/read_semantic_labels.js';
export * from './loader/index.js';
