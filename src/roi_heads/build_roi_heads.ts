import type { FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { roiHeads } from '../registry/registries.js';
import { CascadeRoiHeads } from './cascade_roi_heads.js';
import { MatterportRoiHeads } from './matterport_roi_heads.js';
import type { RoiHeads } from './roi_heads.js';
import { StandardRoiHeads } from './standard_roi_heads.js';

/** The heads that `MODEL.ROI_HEADS.NAME` names. @param features what the backbone gives out */
export function buildRoiHeads(cfg: Config, features: FeatureShapes): RoiHeads {
  const { NAME } = cfg.MODEL.ROI_HEADS;
  const own = roiHeads.get(NAME);
  if (own) return own(cfg, features);
  if (cfg.MODEL.CONVENTIONS === 'matterport') return MatterportRoiHeads.fromConfig(cfg, features);
  if (NAME === 'StandardROIHeads' || NAME === 'Res5ROIHeads') return StandardRoiHeads.fromConfig(cfg, features);
  if (NAME === 'CascadeROIHeads') return CascadeRoiHeads.fromConfig(cfg, features);
  throw new ConfigError(`MODEL.ROI_HEADS.NAME is ${NAME}; expected StandardROIHeads, Res5ROIHeads or CascadeROIHeads.`);
}
