import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { GeneralizedRcnn } from './generalized_rcnn.js';

/** The model that a config describes, with weights still to be loaded. */
export function buildModel(cfg: Config): GeneralizedRcnn {
  switch (cfg.MODEL.META_ARCHITECTURE) {
    case 'GeneralizedRCNN':
      return GeneralizedRcnn.fromConfig(cfg);
    default:
      throw new ConfigError(`MODEL.META_ARCHITECTURE is ${cfg.MODEL.META_ARCHITECTURE}; expected GeneralizedRCNN.`);
  }
}
