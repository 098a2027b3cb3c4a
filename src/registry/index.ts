/**
 * Parts of your own by name, and what they are made from: `docs/your_own_parts.md`.
 *
 * @packageDocumentation
 */
export { Registry } from './registry.js';
export { augmentations, backbones, boxHeads, boxLosses, datasetFormats, metaArchitectures, roiHeads } from './registries.js';
export { Module } from '../layers/module.js';
export { ModuleList } from '../layers/module_list.js';
export { Conv2d, type Conv2dOptions } from '../layers/conv2d.js';
export { Linear } from '../layers/linear.js';
export { Backbone, type FeatureMaps, type FeatureShapes } from '../backbone/backbone.js';
export { ResNet } from '../backbone/resnet.js';
export { Fpn } from '../fpn/fpn.js';
export type { RegionHead } from '../roi_heads/box_head.js';
export { RoiHeads, type RoiLosses } from '../roi_heads/roi_heads.js';
export { MetaArchitecture } from '../meta_arch/meta_architecture.js';
export type { Augmentation } from '../data/transforms/augmentation.js';
export { DatasetBuilder, type ImportedDataset } from '../data/dataset/formats/dataset_builder.js';
