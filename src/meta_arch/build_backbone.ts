import type { Backbone } from '../backbone/backbone.js';
import { RegNet } from '../backbone/regnet.js';
import { ResNet } from '../backbone/resnet.js';
import type { Config } from '../config/index.js';
import { Fpn } from '../fpn/fpn.js';
import { backbones } from '../registry/registries.js';

/** The backbone that `MODEL.BACKBONE.NAME` names: a ResNet alone (C4, DC5), a ResNet or RegNet with a feature pyramid on it, or one that was registered. */
export function buildBackbone(cfg: Config): Backbone {
  const own = backbones.get(cfg.MODEL.BACKBONE.NAME);
  if (own) return own(cfg);
  const { NAME } = cfg.MODEL.BACKBONE;
  if (NAME === 'build_resnet_backbone') return ResNet.fromConfig(cfg);
  return NAME === 'build_regnet_fpn_backbone' ? Fpn.fromConfig(cfg, RegNet.fromConfig(cfg)) : Fpn.fromConfig(cfg);
}
