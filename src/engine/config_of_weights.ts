import type { Checkpoint } from '../checkpoint/parse.js';
import { publishedConfig } from '../config/published_config.js';
import type { Config } from '../config/schema.js';
import { matterportSettings } from './matterport_settings.js';
import { torchvisionSettings } from './torchvision_settings.js';

/** By the conventions that a checkpoint's metadata name. */
const SETTINGS: Readonly<Record<string, (checkpoint: Checkpoint) => string[]>> = {
  matterport: matterportSettings,
  torchvision: torchvisionSettings,
};

/**
 * The configuration of weights that tell it by themselves: those of torchvision's detectors and of Matterport's Mask R-CNN, also after `convert`. Depth, widths,
 * classes and heads are read from the names and shapes, the rest is what their makers build the models with.
 * @returns undefined for other weights
 * @throws CheckpointError where the tensors make no such model
 */
export function configOfWeights(checkpoint: Checkpoint, overrides: readonly string[] = []): Config | undefined {
  const settings = SETTINGS[checkpoint.metadata['conventions'] ?? ''];
  if (!settings) return undefined;
  return publishedConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x', [...settings(checkpoint), ...overrides]).config;
}
