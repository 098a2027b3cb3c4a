import type * as tf from '@tensorflow/tfjs-core';
import type { Backbone, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/schema.js';
import type { ImportedDataset } from '../data/dataset/formats/dataset_builder.js';
import type { Augmentation } from '../data/transforms/augmentation.js';
import type { Module } from '../layers/module.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import type { RegionHead } from '../roi_heads/box_head.js';
import type { RoiHeads } from '../roi_heads/roi_heads.js';
import { Registry } from './registry.js';

/** `MODEL.META_ARCHITECTURE`: a whole model. */
export const metaArchitectures: Registry<(cfg: Config) => MetaArchitecture> = new Registry('model');

/** `MODEL.BACKBONE.NAME`: pictures to feature maps; with a neck on it where the name says so. */
export const backbones: Registry<(cfg: Config) => Backbone> = new Registry('backbone');

/** `MODEL.ROI_HEADS.NAME`: all heads on regions; `features` is what the backbone gives out. */
export const roiHeads: Registry<(cfg: Config, features: FeatureShapes) => RoiHeads> = new Registry('set of heads on regions');

/** `MODEL.ROI_BOX_HEAD.NAME`: pooled regions [R, r, r, inChannels] to vectors. */
export const boxHeads: Registry<(cfg: Config, inChannels: number) => Module & RegionHead> = new Registry('box head');

/**
 * `BBOX_REG_LOSS_TYPE` of RPN, box head and RetinaNet: how far predicted boxes [F, 4] are from the wanted [F, 4], a number each [F], a
 * differentiable function of the first.
 */
export const boxLosses: Registry<(predictions: tf.Tensor2D, targets: tf.Tensor2D) => tf.Tensor1D> = new Registry('box loss');

/** Names of augmentations in plain data (`{ name, args }`): the constructors. A worker thread knows only what it registered itself. */
export const augmentations: Registry<new (...args: never[]) => Augmentation> = new Registry('augmentation');

/** `maskrcnn dataset import --from NAME`: another tool's annotations to COCO. `images` is the pictures' folder where one was given. */
export const datasetFormats: Registry<(path: string, images: string | undefined) => Promise<ImportedDataset>> = new Registry(
  'data set format',
);
