import { backbones, boxHeads, maskHeads, metaArchitectures, roiHeads, semanticHeads } from '../registry/registries.js';
import type { Config } from './schema.js';

type Rule = [key: string, bad: (cfg: Config) => boolean, what: (cfg: Config) => string];

const NORMS = ['', 'FrozenBN', 'BN', 'SyncBN', 'GN'];
const BACKBONES = [
  'build_resnet_backbone',
  'build_resnet_fpn_backbone',
  'build_retinanet_resnet_fpn_backbone',
  'build_regnet_fpn_backbone',
];
const META_ARCHITECTURES = ['GeneralizedRCNN', 'ProposalNetwork', 'PanopticFPN', 'SemanticSegmentor', 'RetinaNet'];
const ROI_HEADS = ['StandardROIHeads', 'Res5ROIHeads', 'CascadeROIHeads'];
const POOLERS = ['ROIAlign', 'ROIAlignV2'];

// Each rule is a setting whose silent neglect would change the results of inference.
const RULES: Rule[] = [
  [
    'MODEL.META_ARCHITECTURE',
    ({ MODEL }) => !META_ARCHITECTURES.includes(MODEL.META_ARCHITECTURE),
    ({ MODEL }) => MODEL.META_ARCHITECTURE,
  ],
  [
    'MODEL.BACKBONE.NAME',
    ({ MODEL }) => !BACKBONES.includes(MODEL.BACKBONE.NAME) && !backbones.has(MODEL.BACKBONE.NAME),
    ({ MODEL }) => MODEL.BACKBONE.NAME,
  ],
  [
    'MODEL.RESNETS.DEPTH',
    ({ MODEL }) => ![18, 34, 50, 101, 152].includes(MODEL.RESNETS.DEPTH),
    ({ MODEL }) => String(MODEL.RESNETS.DEPTH),
  ],
  ['MODEL.RESNETS.NORM', ({ MODEL }) => !NORMS.includes(MODEL.RESNETS.NORM), ({ MODEL }) => MODEL.RESNETS.NORM],
  ['MODEL.REGNETS.NORM', ({ MODEL }) => !NORMS.includes(MODEL.REGNETS.NORM), ({ MODEL }) => MODEL.REGNETS.NORM],
  [
    'MODEL.RESNETS.RES5_DILATION',
    ({ MODEL }) => ![1, 2].includes(MODEL.RESNETS.RES5_DILATION),
    ({ MODEL }) => String(MODEL.RESNETS.RES5_DILATION),
  ],
  ['MODEL.FPN.NORM', ({ MODEL }) => !NORMS.includes(MODEL.FPN.NORM), ({ MODEL }) => MODEL.FPN.NORM],
  [
    'MODEL.PROPOSAL_GENERATOR.NAME',
    ({ MODEL }) =>
      !['RetinaNet', 'SemanticSegmentor'].includes(MODEL.META_ARCHITECTURE) && MODEL.PROPOSAL_GENERATOR.NAME !== 'RPN',
    ({ MODEL }) => MODEL.PROPOSAL_GENERATOR.NAME,
  ],
  ['MODEL.LOAD_PROPOSALS', ({ MODEL }) => MODEL.LOAD_PROPOSALS, () => 'precomputed proposals'],
  [
    'MODEL.ANCHOR_GENERATOR.NAME',
    ({ MODEL }) => MODEL.ANCHOR_GENERATOR.NAME !== 'DefaultAnchorGenerator',
    ({ MODEL }) => MODEL.ANCHOR_GENERATOR.NAME,
  ],
  [
    'MODEL.CONVENTIONS',
    ({ MODEL }) => MODEL.CONVENTIONS === 'matterport' && matterportMisfit(MODEL) !== undefined,
    ({ MODEL }) => `matterport's rules with ${matterportMisfit(MODEL)!}`,
  ],
  [
    'TEST.AUG.ENABLED',
    ({ TEST, MODEL }) => TEST.AUG.ENABLED && augmentationMisfit(MODEL) !== undefined,
    ({ MODEL }) => augmentationMisfit(MODEL)!,
  ],
  [
    'TEST.SOFT_NMS.METHOD',
    (cfg) => cfg.TEST.SOFT_NMS.METHOD !== '' && softNmsMisfit(cfg) !== undefined,
    (cfg) => softNmsMisfit(cfg)!,
  ],
];

/** Why the choice of detections is not one in which scores decay. */
function softNmsMisfit({ MODEL, TEST }: Config): string | undefined {
  const what = 'scores that decay';
  if (MODEL.CONVENTIONS === 'matterport') return `${what} with matterport's rules`;
  return TEST.AUG.ENABLED ? `${what} with several sizes and flips, whose boxes are suppressed together` : undefined;
}

/** Why a model is not one of Matterport's, whose rules it asks for. */
function matterportMisfit({
  META_ARCHITECTURE,
  BACKBONE,
  ROI_HEADS: heads,
  KEYPOINT_ON,
  ROI_BOX_HEAD,
}: Config['MODEL']): string | undefined {
  if (META_ARCHITECTURE !== 'GeneralizedRCNN') return META_ARCHITECTURE;
  if (BACKBONE.NAME !== 'build_resnet_fpn_backbone') return BACKBONE.NAME;
  if (heads.NAME !== 'StandardROIHeads') return heads.NAME;
  if (KEYPOINT_ON) return 'keypoints';
  return ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG ? 'boxes of no class' : undefined;
}

/** Why a model is not run on several sizes and flips; Detectron2 does it for boxes and masks alone. */
function augmentationMisfit({ META_ARCHITECTURE, KEYPOINT_ON, CONVENTIONS }: Config['MODEL']): string | undefined {
  const what = 'several sizes and flips';
  if (META_ARCHITECTURE !== 'GeneralizedRCNN') return `${what} with ${META_ARCHITECTURE}`;
  if (KEYPOINT_ON) return `${what} with keypoints`;
  return CONVENTIONS === 'detectron2' ? undefined : `${what} with a model of ${CONVENTIONS}'s`;
}

const HEAD_RULES: Rule[] = [
  [
    'MODEL.ROI_HEADS.NAME',
    ({ MODEL }) => !ROI_HEADS.includes(MODEL.ROI_HEADS.NAME) && !roiHeads.has(MODEL.ROI_HEADS.NAME),
    ({ MODEL }) => MODEL.ROI_HEADS.NAME,
  ],
  [
    'MODEL.ROI_BOX_HEAD.NAME',
    ({ MODEL }) =>
      MODEL.ROI_HEADS.NAME !== 'Res5ROIHeads' &&
      MODEL.ROI_BOX_HEAD.NAME !== 'FastRCNNConvFCHead' &&
      !boxHeads.has(MODEL.ROI_BOX_HEAD.NAME),
    ({ MODEL }) => MODEL.ROI_BOX_HEAD.NAME || 'no box head',
  ],
  ['MODEL.ROI_BOX_HEAD.NORM', ({ MODEL }) => !NORMS.includes(MODEL.ROI_BOX_HEAD.NORM), ({ MODEL }) => MODEL.ROI_BOX_HEAD.NORM],
  [
    'MODEL.ROI_BOX_HEAD.POOLER_TYPE',
    ({ MODEL }) => !POOLERS.includes(MODEL.ROI_BOX_HEAD.POOLER_TYPE),
    ({ MODEL }) => MODEL.ROI_BOX_HEAD.POOLER_TYPE,
  ],
  ['MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE', ({ MODEL }) => MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE, () => 'sigmoid scores'],
];

const SEMANTIC_RULES: Rule[] = [
  [
    'MODEL.SEM_SEG_HEAD.NAME',
    ({ MODEL }) => MODEL.SEM_SEG_HEAD.NAME !== 'SemSegFPNHead' && !semanticHeads.has(MODEL.SEM_SEG_HEAD.NAME),
    ({ MODEL }) => MODEL.SEM_SEG_HEAD.NAME,
  ],
  ['MODEL.SEM_SEG_HEAD.NORM', ({ MODEL }) => !NORMS.includes(MODEL.SEM_SEG_HEAD.NORM), ({ MODEL }) => MODEL.SEM_SEG_HEAD.NORM],
];

const RETINANET_RULES: Rule[] = [
  ['MODEL.RETINANET.NORM', ({ MODEL }) => MODEL.RETINANET.NORM !== '', ({ MODEL }) => MODEL.RETINANET.NORM],
];

const KEYPOINT_RULES: Rule[] = [
  ['MODEL.ROI_HEADS.NAME', ({ MODEL }) => MODEL.ROI_HEADS.NAME === 'Res5ROIHeads', () => 'keypoints on Res5ROIHeads'],
  [
    'MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE',
    ({ MODEL }) => !POOLERS.includes(MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE),
    ({ MODEL }) => MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE,
  ],
];

const MASK_RULES: Rule[] = [
  [
    'MODEL.ROI_MASK_HEAD.NAME',
    ({ MODEL }) => MODEL.ROI_MASK_HEAD.NAME !== 'MaskRCNNConvUpsampleHead' && !maskHeads.has(MODEL.ROI_MASK_HEAD.NAME),
    ({ MODEL }) => MODEL.ROI_MASK_HEAD.NAME,
  ],
  ['MODEL.ROI_MASK_HEAD.NORM', ({ MODEL }) => !NORMS.includes(MODEL.ROI_MASK_HEAD.NORM), ({ MODEL }) => MODEL.ROI_MASK_HEAD.NORM],
  [
    'MODEL.ROI_MASK_HEAD.POOLER_TYPE',
    ({ MODEL }) => !POOLERS.includes(MODEL.ROI_MASK_HEAD.POOLER_TYPE),
    ({ MODEL }) => MODEL.ROI_MASK_HEAD.POOLER_TYPE,
  ],
];

/**
 * What of a configuration the models here cannot run, a line each (`MODEL.LOAD_PROPOSALS: precomputed proposals`); empty where inference gives Detectron2's results.
 */
export function unsupportedSettings(cfg: Config): string[] {
  const model = cfg.MODEL.META_ARCHITECTURE;
  // A model of one's own reads what it likes of the configuration.
  if (metaArchitectures.has(model)) return [];
  const hasHeads = model === 'GeneralizedRCNN' || model === 'PanopticFPN';
  const hasSemantic = model === 'SemanticSegmentor' || model === 'PanopticFPN';
  const rules = [
    ...RULES,
    ...(model === 'RetinaNet' ? RETINANET_RULES : []),
    ...(hasSemantic ? SEMANTIC_RULES : []),
    ...(hasHeads ? HEAD_RULES : []),
    ...(hasHeads && cfg.MODEL.MASK_ON ? MASK_RULES : []),
    ...(hasHeads && cfg.MODEL.KEYPOINT_ON ? KEYPOINT_RULES : []),
  ];
  return rules.filter(([, bad]) => bad(cfg)).map(([key, , what]) => `${key}: ${what(cfg)}`);
}

/** What of a configuration predicts here but does not train, a line each; empty where training gives Detectron2's losses. */
export function untrainableSettings({ MODEL }: Config): string[] {
  const lines: string[] = [];
  if (MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES)
    lines.push('MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES: true (masks are learnt on the proposals; set it to false).');
  return lines;
}
