import type { PartialConfig } from './schema.js';
import { RETINANET_ANCHOR_SIZES } from './read_yaml.js';

/** A published configuration: what it is built on, and the keys that it sets on top. */
export interface PublishedConfig {
  /** Name of the base in the same table. */
  readonly base?: string;
  /** The keys that it sets itself. */
  readonly keys: PartialConfig;
}

const schedule1x: PartialConfig = {
  DATASETS: { TRAIN: ['coco_2017_train'], TEST: ['coco_2017_val'] },
  SOLVER: { IMS_PER_BATCH: 16, BASE_LR: 0.02, STEPS: [60000, 80000], MAX_ITER: 90000 },
  INPUT: { MIN_SIZE_TRAIN: [640, 672, 704, 736, 768, 800] },
  VERSION: 2,
};
const schedule3x: PartialConfig = { SOLVER: { STEPS: [210000, 250000], MAX_ITER: 270000 } };
const convHeads: PartialConfig['MODEL'] = {
  ROI_BOX_HEAD: { NAME: 'FastRCNNConvFCHead', NUM_FC: 2, POOLER_RESOLUTION: 7 },
  ROI_MASK_HEAD: { NAME: 'MaskRCNNConvUpsampleHead', NUM_CONV: 4, POOLER_RESOLUTION: 14 },
};

type Backbone = 'R_50' | 'R_101' | 'X_101_32x8d';
const BACKBONES: Record<Backbone, PartialConfig['MODEL']> = {
  R_50: { WEIGHTS: 'detectron2://ImageNetPretrained/MSRA/R-50.pkl', RESNETS: { DEPTH: 50 } },
  R_101: { WEIGHTS: 'detectron2://ImageNetPretrained/MSRA/R-101.pkl', RESNETS: { DEPTH: 101 } },
  X_101_32x8d: {
    WEIGHTS: 'detectron2://ImageNetPretrained/FAIR/X-101-32x8d.pkl',
    PIXEL_STD: [57.375, 57.12, 58.395],
    RESNETS: { STRIDE_IN_1X1: false, NUM_GROUPS: 32, WIDTH_PER_GROUP: 8, DEPTH: 101 },
  },
};

const bases: Record<string, PublishedConfig> = {
  'Base-RCNN-C4': {
    keys: {
      ...schedule1x,
      MODEL: {
        META_ARCHITECTURE: 'GeneralizedRCNN',
        RPN: { PRE_NMS_TOPK_TEST: 6000, POST_NMS_TOPK_TEST: 1000 },
        ROI_HEADS: { NAME: 'Res5ROIHeads' },
      },
    },
  },
  'Base-RCNN-DilatedC5': {
    keys: {
      ...schedule1x,
      MODEL: {
        META_ARCHITECTURE: 'GeneralizedRCNN',
        RESNETS: { OUT_FEATURES: ['res5'], RES5_DILATION: 2 },
        RPN: { IN_FEATURES: ['res5'], PRE_NMS_TOPK_TEST: 6000, POST_NMS_TOPK_TEST: 1000 },
        ROI_HEADS: { NAME: 'StandardROIHeads', IN_FEATURES: ['res5'] },
        ...convHeads,
      },
    },
  },
  'Base-RCNN-FPN': {
    keys: {
      ...schedule1x,
      MODEL: {
        META_ARCHITECTURE: 'GeneralizedRCNN',
        BACKBONE: { NAME: 'build_resnet_fpn_backbone' },
        RESNETS: { OUT_FEATURES: ['res2', 'res3', 'res4', 'res5'] },
        FPN: { IN_FEATURES: ['res2', 'res3', 'res4', 'res5'] },
        ANCHOR_GENERATOR: { SIZES: [[32], [64], [128], [256], [512]], ASPECT_RATIOS: [[0.5, 1, 2]] },
        RPN: {
          IN_FEATURES: ['p2', 'p3', 'p4', 'p5', 'p6'],
          PRE_NMS_TOPK_TRAIN: 2000,
          PRE_NMS_TOPK_TEST: 1000,
          POST_NMS_TOPK_TRAIN: 1000,
          POST_NMS_TOPK_TEST: 1000,
        },
        ROI_HEADS: { NAME: 'StandardROIHeads', IN_FEATURES: ['p2', 'p3', 'p4', 'p5'] },
        ...convHeads,
      },
    },
  },
  'Base-RetinaNet': {
    keys: {
      ...schedule1x,
      SOLVER: { ...schedule1x.SOLVER, BASE_LR: 0.01 },
      MODEL: {
        META_ARCHITECTURE: 'RetinaNet',
        BACKBONE: { NAME: 'build_retinanet_resnet_fpn_backbone' },
        RESNETS: { OUT_FEATURES: ['res3', 'res4', 'res5'] },
        ANCHOR_GENERATOR: { SIZES: RETINANET_ANCHOR_SIZES },
        FPN: { IN_FEATURES: ['res3', 'res4', 'res5'] },
        RETINANET: { IOU_THRESHOLDS: [0.4, 0.5], IOU_LABELS: [0, -1, 1], SMOOTH_L1_LOSS_BETA: 0 },
      },
    },
  },
  'COCO-Keypoints/Base-Keypoint-RCNN-FPN': {
    base: 'Base-RCNN-FPN',
    keys: {
      MODEL: {
        KEYPOINT_ON: true,
        ROI_HEADS: { NUM_CLASSES: 1 },
        ROI_BOX_HEAD: { SMOOTH_L1_BETA: 0.5 },
        RPN: { POST_NMS_TOPK_TRAIN: 1500 },
      },
      DATASETS: { TRAIN: ['keypoints_coco_2017_train'], TEST: ['keypoints_coco_2017_val'] },
    },
  },
  'COCO-PanopticSegmentation/Base-Panoptic-FPN': {
    base: 'Base-RCNN-FPN',
    keys: {
      MODEL: { META_ARCHITECTURE: 'PanopticFPN', MASK_ON: true, SEM_SEG_HEAD: { LOSS_WEIGHT: 0.5 } },
      DATASETS: { TRAIN: ['coco_2017_train_panoptic_separated'], TEST: ['coco_2017_val_panoptic_separated'] },
      DATALOADER: { FILTER_EMPTY_ANNOTATIONS: false },
    },
  },
};

function model(base: string, backbone: Backbone, schedule: '1x' | '3x', more: PartialConfig['MODEL'] = {}): PublishedConfig {
  const resnets = { ...BACKBONES[backbone]?.RESNETS, ...more.RESNETS };
  return {
    base,
    keys: { MODEL: { ...BACKBONES[backbone], ...more, RESNETS: resnets }, ...(schedule === '3x' ? schedule3x : {}) },
  };
}

/** R-50 at both schedules, the larger ones at 3x: how Detectron2 publishes each family. */
function family(
  prefix: string,
  base: string,
  suffix: string,
  larger: Backbone[],
  more?: PartialConfig['MODEL'],
): Record<string, PublishedConfig> {
  const entries: [string, PublishedConfig][] = (['1x', '3x'] as const).map((s) => [
    `${prefix}R_50${suffix}_${s}`,
    model(base, 'R_50', s, more),
  ]);
  for (const backbone of larger) entries.push([`${prefix}${backbone}${suffix}_3x`, model(base, backbone, '3x', more)]);
  return Object.fromEntries(entries);
}

function rcnns(prefix: string, more: PartialConfig['MODEL']): Record<string, PublishedConfig> {
  return {
    ...family(prefix, 'Base-RCNN-C4', '_C4', ['R_101'], more),
    ...family(prefix, 'Base-RCNN-DilatedC5', '_DC5', ['R_101'], more),
    ...family(prefix, 'Base-RCNN-FPN', '_FPN', ['R_101', 'X_101_32x8d'], more),
  };
}

const deformed: PartialConfig['MODEL'] = {
  MASK_ON: true,
  RESNETS: { DEFORM_ON_PER_STAGE: [false, true, true, true], DEFORM_MODULATED: false },
};
const cascade: PartialConfig['MODEL'] = {
  MASK_ON: true,
  ROI_HEADS: { NAME: 'CascadeROIHeads' },
  ROI_BOX_HEAD: { CLS_AGNOSTIC_BBOX_REG: true },
  RPN: { POST_NMS_TOPK_TRAIN: 2000 },
};
const normalised = (norm: string): PartialConfig['MODEL'] => ({
  MASK_ON: true,
  FPN: { NORM: norm },
  ROI_BOX_HEAD: { NAME: 'FastRCNNConvFCHead', NUM_CONV: 4, NUM_FC: 1, NORM: norm },
  ROI_MASK_HEAD: { NORM: norm },
});
const proposals = 'detectron2://COCO-Detection/rpn_R_50_FPN_1x/137258492/';
const fromScratch9x: PartialConfig = {
  MODEL: {
    PIXEL_STD: [57.375, 57.12, 58.395],
    WEIGHTS: '',
    MASK_ON: true,
    RESNETS: { STRIDE_IN_1X1: false },
    BACKBONE: { FREEZE_AT: 0 },
  },
  SOLVER: { IMS_PER_BATCH: 64, STEPS: [187500, 197500], MAX_ITER: 202500, BASE_LR: 0.08 },
  TEST: { EVAL_PERIOD: 2500 },
};

const misc: Record<string, PublishedConfig> = {
  semantic_R_50_FPN_1x: {
    base: 'Base-RCNN-FPN',
    keys: {
      MODEL: { META_ARCHITECTURE: 'SemanticSegmentor', ...BACKBONES.R_50 },
      DATASETS: { TRAIN: ['coco_2017_train_panoptic_stuffonly'], TEST: ['coco_2017_val_panoptic_stuffonly'] },
    },
  },
  'mask_rcnn_R_50_FPN_1x_dconv_c3-c5': model('Base-RCNN-FPN', 'R_50', '1x', deformed),
  'mask_rcnn_R_50_FPN_3x_dconv_c3-c5': model('Base-RCNN-FPN', 'R_50', '3x', deformed),
  cascade_mask_rcnn_R_50_FPN_1x: model('Base-RCNN-FPN', 'R_50', '1x', cascade),
  cascade_mask_rcnn_R_50_FPN_3x: model('Base-RCNN-FPN', 'R_50', '3x', cascade),
  mask_rcnn_R_50_FPN_1x_cls_agnostic: model('Base-RCNN-FPN', 'R_50', '1x', {
    MASK_ON: true,
    ROI_BOX_HEAD: { CLS_AGNOSTIC_BBOX_REG: true },
    ROI_MASK_HEAD: { CLS_AGNOSTIC_MASK: true },
  }),
  mask_rcnn_R_50_FPN_3x_gn: model('Base-RCNN-FPN', 'R_50', '3x', {
    ...normalised('GN'),
    WEIGHTS: 'catalog://ImageNetPretrained/FAIR/R-50-GN',
    RESNETS: { NORM: 'GN', STRIDE_IN_1X1: false },
  }),
  mask_rcnn_R_50_FPN_3x_syncbn: {
    base: 'Base-RCNN-FPN',
    keys: {
      ...model('Base-RCNN-FPN', 'R_50', '3x', { ...normalised('SyncBN'), RESNETS: { NORM: 'SyncBN', STRIDE_IN_1X1: true } }).keys,
      TEST: { PRECISE_BN: { ENABLED: true } },
    },
  },
  scratch_mask_rcnn_R_50_FPN_3x_gn: {
    base: 'Misc/mask_rcnn_R_50_FPN_3x_gn',
    keys: { MODEL: { WEIGHTS: '', MASK_ON: true, BACKBONE: { FREEZE_AT: 0 } } },
  },
  scratch_mask_rcnn_R_50_FPN_9x_gn: { base: 'Misc/mask_rcnn_R_50_FPN_3x_gn', keys: fromScratch9x },
  scratch_mask_rcnn_R_50_FPN_9x_syncbn: { base: 'Misc/mask_rcnn_R_50_FPN_3x_syncbn', keys: fromScratch9x },
  cascade_mask_rcnn_X_152_32x8d_FPN_IN5k_gn_dconv: {
    base: 'Base-RCNN-FPN',
    keys: {
      MODEL: {
        ...cascade,
        WEIGHTS: 'catalog://ImageNetPretrained/FAIR/X-152-32x8d-IN5k',
        RESNETS: {
          STRIDE_IN_1X1: false,
          NUM_GROUPS: 32,
          WIDTH_PER_GROUP: 8,
          DEPTH: 152,
          DEFORM_ON_PER_STAGE: [false, true, true, true],
        },
        ROI_BOX_HEAD: { NAME: 'FastRCNNConvFCHead', NUM_CONV: 4, NUM_FC: 1, NORM: 'GN', CLS_AGNOSTIC_BBOX_REG: true },
        ROI_MASK_HEAD: { NUM_CONV: 8, NORM: 'GN' },
      },
      SOLVER: { IMS_PER_BATCH: 128, STEPS: [35000, 45000], MAX_ITER: 50000, BASE_LR: 0.16 },
      INPUT: { MIN_SIZE_TRAIN: [640, 864], MIN_SIZE_TRAIN_SAMPLING: 'range', MAX_SIZE_TRAIN: 1440, CROP: { ENABLED: true } },
      TEST: { EVAL_PERIOD: 2500 },
    },
  },
  panoptic_fpn_R_101_dconv_cascade_gn_3x: {
    base: 'COCO-PanopticSegmentation/Base-Panoptic-FPN',
    keys: {
      MODEL: {
        ...cascade,
        WEIGHTS: 'catalog://ImageNetPretrained/FAIR/R-101-GN',
        RESNETS: { DEPTH: 101, NORM: 'GN', DEFORM_ON_PER_STAGE: [false, true, true, true], STRIDE_IN_1X1: false },
        FPN: { NORM: 'GN' },
        ROI_MASK_HEAD: { NORM: 'GN' },
      },
      SOLVER: { STEPS: [105000, 125000], MAX_ITER: 135000, IMS_PER_BATCH: 32, BASE_LR: 0.04 },
    },
  },
};

/** Mask R-CNN for the 1230 classes of LVIS v0.5, which allows 300 detections a picture. */
function lvis(backbone: Backbone): PublishedConfig {
  const { base, keys } = model('Base-RCNN-FPN', backbone, '1x', {
    MASK_ON: true,
    ROI_HEADS: { NUM_CLASSES: 1230, SCORE_THRESH_TEST: 0.0001 },
  });
  return {
    ...(base === undefined ? {} : { base }),
    keys: {
      ...keys,
      DATASETS: { TRAIN: ['lvis_v0.5_train'], TEST: ['lvis_v0.5_val'] },
      TEST: { DETECTIONS_PER_IMAGE: 300 },
      DATALOADER: { SAMPLER_TRAIN: 'RepeatFactorTrainingSampler', REPEAT_THRESHOLD: 0.001 },
    },
  };
}

const cityscapes: PublishedConfig = {
  base: 'Base-RCNN-FPN',
  keys: {
    MODEL: {
      WEIGHTS: 'detectron2://COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl',
      MASK_ON: true,
      ROI_HEADS: { NUM_CLASSES: 8 },
    },
    INPUT: {
      MIN_SIZE_TRAIN: [800, 832, 864, 896, 928, 960, 992, 1024],
      MIN_SIZE_TRAIN_SAMPLING: 'choice',
      MIN_SIZE_TEST: 1024,
      MAX_SIZE_TRAIN: 2048,
      MAX_SIZE_TEST: 2048,
    },
    DATASETS: { TRAIN: ['cityscapes_fine_instance_seg_train'], TEST: ['cityscapes_fine_instance_seg_val'] },
    SOLVER: { BASE_LR: 0.01, STEPS: [18000], MAX_ITER: 24000, IMS_PER_BATCH: 8 },
    TEST: { EVAL_PERIOD: 8000 },
  },
};

const pascalVoc: PublishedConfig = {
  base: 'Base-RCNN-C4',
  keys: {
    MODEL: { ...BACKBONES.R_50, MASK_ON: false, ROI_HEADS: { NUM_CLASSES: 20 } },
    INPUT: { MIN_SIZE_TRAIN: [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800], MIN_SIZE_TEST: 800 },
    DATASETS: { TRAIN: ['voc_2007_trainval', 'voc_2012_trainval'], TEST: ['voc_2007_test'] },
    SOLVER: { STEPS: [12000, 16000], MAX_ITER: 18000, WARMUP_ITERS: 100 },
  },
};

/** Detectron1's RoIAlign and losses, under Detectron2's names. */
const pooled1 = { POOLER_SAMPLING_RATIO: 2, POOLER_TYPE: 'ROIAlign' };
const losses1: PartialConfig['MODEL'] = {
  RPN: { SMOOTH_L1_BETA: 0.1111 },
  ROI_BOX_HEAD: { SMOOTH_L1_BETA: 1, ...pooled1 },
};
function detectron1(more: PartialConfig['MODEL'], keys: PartialConfig): PublishedConfig {
  return { base: 'Base-RCNN-FPN', keys: { MODEL: { ...BACKBONES.R_50, ...losses1, ...more }, ...keys } };
}
const detectron1Comparisons: Record<string, PublishedConfig> = {
  faster_rcnn_R_50_FPN_noaug_1x: detectron1({ MASK_ON: false }, { INPUT: { MIN_SIZE_TRAIN: [800] } }),
  mask_rcnn_R_50_FPN_noaug_1x: detectron1({ MASK_ON: true, ROI_MASK_HEAD: pooled1 }, { INPUT: { MIN_SIZE_TRAIN: [800] } }),
  keypoint_rcnn_R_50_FPN_1x: detectron1(
    {
      KEYPOINT_ON: true,
      ROI_HEADS: { NUM_CLASSES: 1 },
      ROI_KEYPOINT_HEAD: { POOLER_RESOLUTION: 14, ...pooled1 },
      RPN: { SMOOTH_L1_BETA: 0.1111, POST_NMS_TOPK_TRAIN: 1500 },
    },
    { DATASETS: { TRAIN: ['keypoints_coco_2017_train'], TEST: ['keypoints_coco_2017_val'] } },
  ),
};

/**
 * From scratch with large-scale jitter, 100, 200 and 400 epochs; of Detectron2's configs in Python. The batch norms of the heads weigh the
 * processes by their regions there (`naiveSyncBN_N`), which are what SyncBN is where one process has all of them.
 */
function newBaselines(name: string, more: PartialConfig['MODEL']): Record<string, PublishedConfig> {
  return Object.fromEntries(
    [1, 2, 4].map((times) => [
      `mask_rcnn_${name}_FPN_${times}00ep_LSJ`,
      {
        base: 'Base-RCNN-FPN',
        keys: {
          MODEL: {
            WEIGHTS: '',
            ...normalised('SyncBN'),
            RPN: { CONV_DIMS: [-1, -1] },
            ...more,
            BACKBONE: { FREEZE_AT: 0, ...more?.BACKBONE },
          },
          INPUT: { SCALE_JITTER: { ENABLED: true } },
          SOLVER: {
            IMS_PER_BATCH: 64,
            BASE_LR: 0.1,
            WEIGHT_DECAY: 4e-5,
            STEPS: [163889 * times, 177546 * times],
            MAX_ITER: 184375 * times,
            WARMUP_ITERS: 500 * times,
            WARMUP_FACTOR: 0.067,
            AMP: { ENABLED: true },
          },
          TEST: { EVAL_PERIOD: 5000 },
        },
      },
    ]),
  );
}

const named = (folder: string, configs: Record<string, PublishedConfig>): Record<string, PublishedConfig> =>
  Object.fromEntries(Object.entries(configs).map(([name, config]) => [`${folder}/${name}`, config]));

const box: PartialConfig['MODEL'] = { MASK_ON: false };
/** Detectron2's RegNets of 4 gigaflops, each with its stages' names in the pyramid. */
function regnet(widths: NonNullable<PartialConfig['MODEL']>['REGNETS']): PartialConfig['MODEL'] {
  return {
    BACKBONE: { NAME: 'build_regnet_fpn_backbone' },
    PIXEL_STD: [57.375, 57.12, 58.395],
    FPN: { NORM: 'SyncBN', IN_FEATURES: ['s1', 's2', 's3', 's4'] },
    REGNETS: { NORM: 'SyncBN', STEM_WIDTH: 32, W_0: 96, ...widths },
  };
}
const rpnOnly: PartialConfig['MODEL'] = { META_ARCHITECTURE: 'ProposalNetwork', MASK_ON: false };

/** Detectron2's published configurations, and the bases that they share, by name without `.yaml`. */
export const publishedConfigs: Readonly<Record<string, PublishedConfig>> = {
  ...bases,
  ...rcnns('COCO-InstanceSegmentation/mask_rcnn_', { MASK_ON: true }),
  'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x_giou': model('Base-RCNN-FPN', 'R_50', '1x', {
    MASK_ON: true,
    RPN: { BBOX_REG_LOSS_TYPE: 'giou', BBOX_REG_LOSS_WEIGHT: 2 },
    ROI_BOX_HEAD: { BBOX_REG_LOSS_TYPE: 'giou', BBOX_REG_LOSS_WEIGHT: 10 },
  }),
  ...rcnns('COCO-Detection/faster_rcnn_', box),
  ...family('COCO-Detection/retinanet_', 'Base-RetinaNet', '_FPN', ['R_101']),
  'COCO-Detection/rpn_R_50_C4_1x': model('Base-RCNN-C4', 'R_50', '1x', {
    ...rpnOnly,
    RPN: { PRE_NMS_TOPK_TEST: 12000, POST_NMS_TOPK_TEST: 2000 },
  }),
  'COCO-Detection/rpn_R_50_FPN_1x': model('Base-RCNN-FPN', 'R_50', '1x', { ...rpnOnly, RPN: { POST_NMS_TOPK_TEST: 2000 } }),
  'COCO-Detection/fast_rcnn_R_50_FPN_1x': {
    base: 'Base-RCNN-FPN',
    keys: {
      MODEL: { ...BACKBONES.R_50, ...box, LOAD_PROPOSALS: true, PROPOSAL_GENERATOR: { NAME: 'PrecomputedProposals' } },
      DATASETS: {
        PROPOSAL_FILES_TRAIN: [`${proposals}coco_2017_train_box_proposals_21bc3a.pkl`],
        PROPOSAL_FILES_TEST: [`${proposals}coco_2017_val_box_proposals_ee0dad.pkl`],
      },
      DATALOADER: { NUM_WORKERS: 2 },
    },
  },
  ...family('COCO-Keypoints/keypoint_rcnn_', 'COCO-Keypoints/Base-Keypoint-RCNN-FPN', '_FPN', ['R_101', 'X_101_32x8d']),
  ...family('COCO-PanopticSegmentation/panoptic_fpn_', 'COCO-PanopticSegmentation/Base-Panoptic-FPN', '', ['R_101']),
  ...named('Misc', misc),
  'LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x': lvis('R_50'),
  'LVISv0.5-InstanceSegmentation/mask_rcnn_R_101_FPN_1x': lvis('R_101'),
  'LVISv0.5-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_1x': lvis('X_101_32x8d'),
  'Cityscapes/mask_rcnn_R_50_FPN': cityscapes,
  'PascalVOC-Detection/faster_rcnn_R_50_C4': pascalVoc,
  ...named('Detectron1-Comparisons', detectron1Comparisons),
  ...named('new_baselines', {
    ...newBaselines('R_50', { RESNETS: { DEPTH: 50, NORM: 'SyncBN' } }),
    ...newBaselines('R_101', { RESNETS: { DEPTH: 101, NORM: 'SyncBN' } }),
    ...newBaselines('regnetx_4gf_dds', regnet({ DEPTH: 23, W_A: 38.65, W_M: 2.43, GROUP_WIDTH: 40 })),
    ...newBaselines('regnety_4gf_dds', regnet({ DEPTH: 22, W_A: 31.41, W_M: 2.24, GROUP_WIDTH: 64, SE_RATIO: 0.25 })),
  }),
};

/** Names of the published models (bases left out). */
export function publishedConfigNames(): string[] {
  return Object.keys(publishedConfigs).filter((name) => !/(^|\/)Base-/.test(name));
}

/** The table's name for a published configuration, or undefined. */
export function publishedName(source: string): string | undefined {
  const name = source.replace(/\.yaml$/, '');
  return Object.hasOwn(publishedConfigs, name) ? name : undefined;
}
