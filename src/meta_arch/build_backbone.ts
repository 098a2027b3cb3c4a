import type { Backbone } from '../backbone/backbone.js';
import { ResNet } from '../backbone/resnet.js';
import type { Config } from '../config/index.js';
import { Fpn } from '../fpn/fpn.js';

/** The backbone that `MODEL.BACKBONE.NAME` names: a ResNet alone (C4, DC5), or with a feature pyramid on it. */
export function buildBackbone(cfg: Config): Backbone {
  return cfg.MODEL.BACKBONE.NAME === 'build_resnet_backbone' ? ResNet.fromConfig(cfg) : Fpn.fromConfig(cfg);
}
