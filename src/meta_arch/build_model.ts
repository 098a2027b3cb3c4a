import type { Config } from '../config/schema.js';
import { unsupportedSettings } from '../config/unsupported.js';
import { ConfigError } from '../errors.js';
import { metaArchitectures } from '../registry/registries.js';
import { GeneralizedRcnn } from './generalized_rcnn.js';
import { MatterportRcnn } from './matterport_rcnn.js';
import type { MetaArchitecture } from './meta_architecture.js';
import { ProposalNetwork } from './proposal_network.js';
import { PanopticFpn } from './panoptic_fpn.js';
import { RetinaNet } from './retinanet.js';
import { SemanticSegmentor } from './semantic_segmentor.js';

/**
 * The model that a config describes, with weights still to be loaded.
 * @throws ConfigError that names every setting which the models here cannot honour
 */
export function buildModel(cfg: Config): MetaArchitecture {
  const unsupported = unsupportedSettings(cfg);
  if (unsupported.length > 0)
    throw new ConfigError(`This configuration asks for what is not supported: ${unsupported.join(' ')}`);
  const own = metaArchitectures.get(cfg.MODEL.META_ARCHITECTURE);
  if (own) return own(cfg);
  switch (cfg.MODEL.META_ARCHITECTURE) {
    case 'GeneralizedRCNN':
      return cfg.MODEL.CONVENTIONS === 'matterport' ? MatterportRcnn.fromConfig(cfg) : GeneralizedRcnn.fromConfig(cfg);
    case 'ProposalNetwork':
      return ProposalNetwork.fromConfig(cfg);
    case 'PanopticFPN':
      return PanopticFpn.fromConfig(cfg);
    case 'SemanticSegmentor':
      return SemanticSegmentor.fromConfig(cfg);
    case 'RetinaNet':
      return RetinaNet.fromConfig(cfg);
    default:
      throw new ConfigError(
        `MODEL.META_ARCHITECTURE is ${cfg.MODEL.META_ARCHITECTURE}; expected GeneralizedRCNN, ProposalNetwork, PanopticFPN, SemanticSegmentor or RetinaNet.`,
      );
  }
}
