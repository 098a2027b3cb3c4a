import type * as tf from '@tensorflow/tfjs-core';
import type { Backbone, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/schema.js';
import type { ImportedDataset } from '../data/dataset/formats/dataset_builder.js';
import type { Augmentation } from '../data/transforms/augmentation.js';
import type { Module } from '../layers/module.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import type { RegionHead } from '../roi_heads/box_head.js';
import type { RegionKeypointHead } from '../roi_heads/keypoint_head.js';
import type { RegionMaskHead } from '../roi_heads/mask_head.js';
import type { RoiHeads } from '../roi_heads/roi_heads.js';
import type { AnchorHead } from '../rpn/rpn_head.js';
import type { SemanticHead } from '../semantic/semantic_head.js';
import { Registry } from './registry.js';

/** `MODEL.META_ARCHITECTURE`: a whole model. */
export const metaArchitectures: Registry<(cfg: Config) => MetaArchitecture> = new Registry('model');

/** `MODEL.BACKBONE.NAME`: pictures to feature maps; with a neck on it where the name says so. */
export const backbones: Registry<(cfg: Config) => Backbone> = new Registry('backbone');

/** `MODEL.ROI_HEADS.NAME`: all heads on regions; `features` is what the backbone gives out. */
export const roiHeads: Registry<(cfg: Config, features: FeatureShapes) => RoiHeads> = new Registry('set of heads on regions');

/** `MODEL.ROI_BOX_HEAD.NAME`: pooled regions [R, r, r, inChannels] to vectors. */
export const boxHeads: Registry<(cfg: Config, inChannels: number) => Module & RegionHead> = new Registry('box head');

/** `MODEL.ROI_MASK_HEAD.NAME`: pooled regions [R, r, r, inChannels] to mask logits [R, 2r, 2r, K]. */
export const maskHeads: Registry<(cfg: Config, inChannels: number) => Module & RegionMaskHead> = new Registry('mask head');

/** `MODEL.ROI_KEYPOINT_HEAD.NAME`: pooled regions [R, r, r, inChannels] to heatmap logits [R, 4r, 4r, P]. */
export const keypointHeads: Registry<(cfg: Config, inChannels: number) => Module & RegionKeypointHead> = new Registry(
  'keypoint head',
);

/** `MODEL.RPN.HEAD_NAME`: a level of the features to scores and deltas of its anchors, `anchorsPerLocation` at each place. */
export const rpnHeads: Registry<(cfg: Config, inChannels: number, anchorsPerLocation: number) => Module & AnchorHead> =
  new Registry('RPN head');

/** `MODEL.SEM_SEG_HEAD.NAME`: maps to the class of every pixel; `features` is what the backbone gives out. */
export const semanticHeads: Registry<(cfg: Config, features: FeatureShapes) => SemanticHead> = new Registry('semantic head');

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
