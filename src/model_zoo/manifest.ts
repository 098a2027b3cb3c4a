import { unsupportedSettings } from '../config/unsupported.js';
import { getConfig } from '../config/get_config.js';
import { ZooError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import { imageNetBackbones } from './backbones.js';

/** Accuracy as Detectron2 publishes it, in percent; on COCO val2017 unless the model is for another data set. */
export interface PublishedAccuracy {
  boxAp?: number;
  maskAp?: number;
  keypointAp?: number;
  /** Panoptic quality. */
  panopticQuality?: number;
  /** Average recall of 1000 proposals. */
  proposalAr?: number;
}

/** A model that Detectron2 publishes. */
export interface ZooModel extends PublishedAccuracy {
  /** Name of the model and of its built-in configuration. */
  name: string;
  /** What its classes and its accuracy are those of. */
  dataset: string;
  /** Detectron2's number of the training run. */
  modelId: string;
  /** Where the weights lie. */
  url: string;
  /** First digits of the MD5 of the file; Detectron2 puts them into the file name. */
  md5Prefix: string;
  licence: string;
}

/** Where Detectron2 publishes its weights. */
export const DETECTRON2_URL = 'https://dl.fbaipublicfiles.com/detectron2/';

// The licence that Detectron2's MODEL_ZOO.md states for all of its models.
const LICENCE = 'CC-BY-SA-3.0';

// Name, run and file, accuracy: from the tables of Detectron2's MODEL_ZOO.md.
const TABLE: [string, string, PublishedAccuracy][] = [
  ['COCO-Detection/faster_rcnn_R_50_C4_1x', '137257644/model_final_721ade.pkl', { boxAp: 35.7 }],
  ['COCO-Detection/faster_rcnn_R_50_DC5_1x', '137847829/model_final_51d356.pkl', { boxAp: 37.3 }],
  ['COCO-Detection/faster_rcnn_R_50_FPN_1x', '137257794/model_final_b275ba.pkl', { boxAp: 37.9 }],
  ['COCO-Detection/faster_rcnn_R_50_C4_3x', '137849393/model_final_f97cb7.pkl', { boxAp: 38.4 }],
  ['COCO-Detection/faster_rcnn_R_50_DC5_3x', '137849425/model_final_68d202.pkl', { boxAp: 39 }],
  ['COCO-Detection/faster_rcnn_R_50_FPN_3x', '137849458/model_final_280758.pkl', { boxAp: 40.2 }],
  ['COCO-Detection/faster_rcnn_R_101_C4_3x', '138204752/model_final_298dad.pkl', { boxAp: 41.1 }],
  ['COCO-Detection/faster_rcnn_R_101_DC5_3x', '138204841/model_final_3e0943.pkl', { boxAp: 40.6 }],
  ['COCO-Detection/faster_rcnn_R_101_FPN_3x', '137851257/model_final_f6e8b1.pkl', { boxAp: 42 }],
  ['COCO-Detection/faster_rcnn_X_101_32x8d_FPN_3x', '139173657/model_final_68b088.pkl', { boxAp: 43 }],
  ['COCO-Detection/retinanet_R_50_FPN_1x', '190397773/model_final_bfca0b.pkl', { boxAp: 37.4 }],
  ['COCO-Detection/retinanet_R_50_FPN_3x', '190397829/model_final_5bd44e.pkl', { boxAp: 38.7 }],
  ['COCO-Detection/retinanet_R_101_FPN_3x', '190397697/model_final_971ab9.pkl', { boxAp: 40.4 }],
  ['COCO-Detection/rpn_R_50_C4_1x', '137258005/model_final_450694.pkl', { proposalAr: 51.6 }],
  ['COCO-Detection/rpn_R_50_FPN_1x', '137258492/model_final_02ce48.pkl', { proposalAr: 58 }],
  ['COCO-Detection/fast_rcnn_R_50_FPN_1x', '137635226/model_final_e5f7ce.pkl', { boxAp: 37.8 }],
  ['COCO-InstanceSegmentation/mask_rcnn_R_50_C4_1x', '137259246/model_final_9243eb.pkl', { boxAp: 36.8, maskAp: 32.2 }],
  ['COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_1x', '137260150/model_final_4f86c3.pkl', { boxAp: 38.3, maskAp: 34.2 }],
  ['COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x', '137260431/model_final_a54504.pkl', { boxAp: 38.6, maskAp: 35.2 }],
  ['COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x', '137849525/model_final_4ce675.pkl', { boxAp: 39.8, maskAp: 34.4 }],
  ['COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x', '137849551/model_final_84107b.pkl', { boxAp: 40, maskAp: 35.9 }],
  ['COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', '137849600/model_final_f10217.pkl', { boxAp: 41, maskAp: 37.2 }],
  ['COCO-InstanceSegmentation/mask_rcnn_R_101_C4_3x', '138363239/model_final_a2914c.pkl', { boxAp: 42.6, maskAp: 36.7 }],
  ['COCO-InstanceSegmentation/mask_rcnn_R_101_DC5_3x', '138363294/model_final_0464b7.pkl', { boxAp: 41.9, maskAp: 37.3 }],
  ['COCO-InstanceSegmentation/mask_rcnn_R_101_FPN_3x', '138205316/model_final_a3ec72.pkl', { boxAp: 42.9, maskAp: 38.6 }],
  ['COCO-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_3x', '139653917/model_final_2d9806.pkl', { boxAp: 44.3, maskAp: 39.5 }],
  ['COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x', '137261548/model_final_04e291.pkl', { boxAp: 53.6, keypointAp: 64 }],
  ['COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x', '137849621/model_final_a6e10b.pkl', { boxAp: 55.4, keypointAp: 65.5 }],
  ['COCO-Keypoints/keypoint_rcnn_R_101_FPN_3x', '138363331/model_final_997cc7.pkl', { boxAp: 56.4, keypointAp: 66.1 }],
  ['COCO-Keypoints/keypoint_rcnn_X_101_32x8d_FPN_3x', '139686956/model_final_5ad38f.pkl', { boxAp: 57.3, keypointAp: 66 }],
  [
    'COCO-PanopticSegmentation/panoptic_fpn_R_50_1x',
    '139514544/model_final_dbfeb4.pkl',
    { boxAp: 37.6, maskAp: 34.7, panopticQuality: 39.4 },
  ],
  [
    'COCO-PanopticSegmentation/panoptic_fpn_R_50_3x',
    '139514569/model_final_c10459.pkl',
    { boxAp: 40, maskAp: 36.5, panopticQuality: 41.5 },
  ],
  [
    'COCO-PanopticSegmentation/panoptic_fpn_R_101_3x',
    '139514519/model_final_cafdb1.pkl',
    { boxAp: 42.4, maskAp: 38.5, panopticQuality: 43 },
  ],
  ...newBaselines('R_50', [
    ['42047764/model_final_bb69de.pkl', 44.6, 40.3],
    ['42047638/model_final_89a8d3.pkl', 46.3, 41.7],
    ['42019571/model_final_14d201.pkl', 47.4, 42.5],
  ]),
  ...newBaselines('R_101', [
    ['42025812/model_final_4f7b58.pkl', 46.4, 41.6],
    ['42131867/model_final_0bb7ae.pkl', 48, 43.1],
    ['42073830/model_final_f96b26.pkl', 48.9, 43.7],
  ]),
  ...newBaselines('regnetx_4gf_dds', [
    ['42047771/model_final_b7fbab.pkl', 46, 41.3],
    ['42132721/model_final_5d87c1.pkl', 48.1, 43.1],
    ['42025447/model_final_f1362d.pkl', 48.6, 43.5],
  ]),
  ...newBaselines('regnety_4gf_dds', [
    ['42047784/model_final_6ba57e.pkl', 46.1, 41.6],
    ['42047642/model_final_27b9c1.pkl', 47.8, 43],
    ['42045954/model_final_ef3a80.pkl', 48.2, 43.3],
  ]),
  ['LVISv0.5-InstanceSegmentation/mask_rcnn_R_50_FPN_1x', '144219072/model_final_571f7c.pkl', { boxAp: 23.6, maskAp: 24.4 }],
  ['LVISv0.5-InstanceSegmentation/mask_rcnn_R_101_FPN_1x', '144219035/model_final_824ab5.pkl', { boxAp: 25.6, maskAp: 25.9 }],
  [
    'LVISv0.5-InstanceSegmentation/mask_rcnn_X_101_32x8d_FPN_1x',
    '144219108/model_final_5e3439.pkl',
    { boxAp: 26.7, maskAp: 27.1 },
  ],
  ['Cityscapes/mask_rcnn_R_50_FPN', '142423278/model_final_af9cf5.pkl', { maskAp: 36.5 }],
  ['PascalVOC-Detection/faster_rcnn_R_50_C4', '142202221/model_final_b1acc2.pkl', { boxAp: 51.9 }],
  ['Misc/mask_rcnn_R_50_FPN_1x_dconv_c3-c5', '138602867/model_final_65c703.pkl', { boxAp: 41.5, maskAp: 37.5 }],
  ['Misc/cascade_mask_rcnn_R_50_FPN_1x', '138602847/model_final_e9d89b.pkl', { boxAp: 42.1, maskAp: 36.4 }],
  ['Misc/mask_rcnn_R_50_FPN_3x_dconv_c3-c5', '144998336/model_final_821d0b.pkl', { boxAp: 42.7, maskAp: 38.5 }],
  ['Misc/cascade_mask_rcnn_R_50_FPN_3x', '144998488/model_final_480dd8.pkl', { boxAp: 44.3, maskAp: 38.5 }],
  ['Misc/mask_rcnn_R_50_FPN_3x_gn', '138602888/model_final_dc5d9e.pkl', { boxAp: 42.6, maskAp: 38.6 }],
  ['Misc/mask_rcnn_R_50_FPN_3x_syncbn', '169527823/model_final_3b3c51.pkl', { boxAp: 41.9, maskAp: 37.8 }],
  ['Misc/scratch_mask_rcnn_R_50_FPN_3x_gn', '138602908/model_final_01ca85.pkl', { boxAp: 39.9, maskAp: 36.6 }],
  ['Misc/scratch_mask_rcnn_R_50_FPN_9x_gn', '183808979/model_final_da7b4c.pkl', { boxAp: 43.7, maskAp: 39.6 }],
  ['Misc/scratch_mask_rcnn_R_50_FPN_9x_syncbn', '184226666/model_final_5ce33e.pkl', { boxAp: 43.6, maskAp: 39.3 }],
  [
    'Misc/panoptic_fpn_R_101_dconv_cascade_gn_3x',
    '139797668/model_final_be35db.pkl',
    { boxAp: 47.4, maskAp: 41.3, panopticQuality: 46.1 },
  ],
  ['Misc/cascade_mask_rcnn_X_152_32x8d_FPN_IN5k_gn_dconv', '18131413/model_0039999_e76410.pkl', { boxAp: 50.2, maskAp: 44 }],
  ['Detectron1-Comparisons/faster_rcnn_R_50_FPN_noaug_1x', '137781054/model_final_7ab50c.pkl', { boxAp: 36.9 }],
  ['Detectron1-Comparisons/mask_rcnn_R_50_FPN_noaug_1x', '137781281/model_final_62ca52.pkl', { boxAp: 37.8, maskAp: 34.9 }],
  ['Detectron1-Comparisons/keypoint_rcnn_R_50_FPN_1x', '137781195/model_final_cce136.pkl', { boxAp: 53.1, keypointAp: 64.2 }],
];

/** The data sets other than COCO, by the folder that Detectron2 keeps their models in. */
const DATA_SETS: Record<string, string> = {
  'LVISv0.5-InstanceSegmentation': 'LVIS v0.5',
  Cityscapes: 'Cityscapes',
  'PascalVOC-Detection': 'PASCAL VOC 2007',
};

/** 100, 200 and 400 epochs of large-scale jitter: file, box AP, mask AP. */
function newBaselines(backbone: string, runs: [string, number, number][]): [string, string, PublishedAccuracy][] {
  return runs.map(([path, boxAp, maskAp], i) => [
    `new_baselines/mask_rcnn_${backbone}_FPN_${100 * 2 ** i}ep_LSJ`,
    path,
    { boxAp, maskAp },
  ]);
}

/** The published models, in Detectron2's order. */
export const zooModels: readonly ZooModel[] = TABLE.map(([name, path, accuracy]) => ({
  name,
  dataset: DATA_SETS[name.slice(0, name.indexOf('/'))] ?? 'COCO',
  modelId: path.slice(0, path.indexOf('/')),
  url: `${DETECTRON2_URL}${name}/${path}`,
  md5Prefix: path.slice(path.lastIndexOf('_') + 1, path.lastIndexOf('.')),
  licence: LICENCE,
  ...accuracy,
}));

/**
 * A published model by name, with or without `.yaml`.
 * @throws ZooError with the nearest names
 */
export function zooModel(name: string): ZooModel {
  const wanted = name.replace(/\.yaml$/, '');
  const found = zooModels.find((model) => model.name === wanted);
  if (found) return found;
  const nearest = nearestNames(
    wanted,
    [...zooModels, ...imageNetBackbones].map((model) => model.name),
  );
  throw new ZooError(`no published model is called ${JSON.stringify(name)}; did you mean ${nearest.join(', ')}?`);
}

/** What keeps a published model from running here, a line each; empty where it runs. */
export function unsupportedInZooModel(model: ZooModel): string[] {
  return unsupportedSettings(getConfig(model.name));
}
