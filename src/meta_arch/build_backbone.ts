import type { Backbone } from '../backbone/backbone.js';
import { ResNet } from '../backbone/resnet.js';
import type { Config } from '../config/index.js';
import { Fpn } from '../fpn/fpn.js';
import { backbones } from '../registry/registries.js';

/** The backbone that `MODEL.BACKBONE.NAME` names: a ResNet alone (C4, DC5), or with a feature pyramid on it, or one that was registered. */
export function buildBackbone(cfg: Config): Backbone {
  const own = backbones.get(cfg.MODEL.BACKBONE.NAME);
  if (own) return own(cfg);
  return cfg.MODEL.BACKBONE.NAME === 'build_resnet_backbone' ? ResNet.fromConfig(cfg) : Fpn.fromConfig(cfg);
}
