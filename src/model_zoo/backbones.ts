import type { Config } from '../config/index.js';

/** A network trained on ImageNet, without pyramid and heads: what a training starts from. */
export interface ImageNetBackbone {
  /** Detectron2's name, such as `ImageNetPretrained/MSRA/R-50`. */
  name: string;
  /** Where Detectron2 publishes it. */
  url: string;
  /** The settings that it was trained with; a config that differs trains, but starts far from what the network knows. */
  settings: BackboneSettings;
}

/** MODEL.RESNETS.DEPTH, NUM_GROUPS and STRIDE_IN_1X1, INPUT.FORMAT, MODEL.PIXEL_STD. */
export interface BackboneSettings {
  depth: number;
  groups: number;
  strideIn1x1: boolean;
  format: 'BGR' | 'RGB';
  pixelStd: readonly number[];
}

const DETECTRON1 = 'https://dl.fbaipublicfiles.com/detectron/';
const DETECTRON2 = 'https://dl.fbaipublicfiles.com/detectron2/';
const NONE = [1, 1, 1] as const;
const caffe2 = (depth: number, more: Partial<BackboneSettings> = {}): BackboneSettings => ({
  ...{ depth, groups: 1, strideIn1x1: false, format: 'BGR' as const, pixelStd: NONE },
  ...more,
});
const RESNEXT = { groups: 32, pixelStd: [57.375, 57.12, 58.395] };

// Name, address, settings: Detectron2's MODEL_ZOO.md and the configs that use each. The norms of files of Detectron 1 are folded to scale and shift.
const TABLE: [string, string, BackboneSettings][] = [
  ['MSRA/R-50', `${DETECTRON2}ImageNetPretrained/MSRA/R-50.pkl`, caffe2(50, { strideIn1x1: true })],
  ['MSRA/R-101', `${DETECTRON2}ImageNetPretrained/MSRA/R-101.pkl`, caffe2(101, { strideIn1x1: true })],
  ['FAIR/X-101-32x8d', `${DETECTRON2}ImageNetPretrained/FAIR/X-101-32x8d.pkl`, caffe2(101, RESNEXT)],
  [
    'torchvision/R-50',
    `${DETECTRON2}ImageNetPretrained/torchvision/R-50.pkl`,
    { depth: 50, groups: 1, strideIn1x1: false, format: 'RGB', pixelStd: [58.395, 57.12, 57.375] },
  ],
  ['FAIR/R-50-GN', `${DETECTRON1}ImageNetPretrained/47261647/R-50-GN.pkl`, caffe2(50)],
  ['FAIR/R-101-GN', `${DETECTRON1}ImageNetPretrained/47592356/R-101-GN.pkl`, caffe2(101)],
  ['FAIR/X-101-64x4d', `${DETECTRON1}ImageNetPretrained/FBResNeXt/X-101-64x4d.pkl`, caffe2(101, { groups: 64 })],
  ['FAIR/X-152-32x8d-IN5k', `${DETECTRON1}ImageNetPretrained/25093814/X-152-32x8d-IN5k.pkl`, caffe2(152, { groups: 32 })],
];

/** The published ImageNet backbones. */
export const imageNetBackbones: readonly ImageNetBackbone[] = TABLE.map(([name, url, settings]) => ({
  name: `ImageNetPretrained/${name}`,
  url,
  settings,
}));

/** Detectron2's `catalog://` keeps the files of Detectron 1, also of networks that have a newer file under `detectron2://`. */
export const CATALOG: Readonly<Record<string, string>> = {
  'ImageNetPretrained/MSRA/R-50': `${DETECTRON1}ImageNetPretrained/MSRA/R-50.pkl`,
  'ImageNetPretrained/MSRA/R-101': `${DETECTRON1}ImageNetPretrained/MSRA/R-101.pkl`,
  'ImageNetPretrained/FAIR/X-101-32x8d': `${DETECTRON1}ImageNetPretrained/20171220/X-101-32x8d.pkl`,
  ...Object.fromEntries(imageNetBackbones.filter(({ url }) => url.startsWith(DETECTRON1)).map(({ name, url }) => [name, url])),
};

/** The settings of a config that are not those which a backbone was trained with, a line each with what to set. */
export function backboneMismatches({ settings }: ImageNetBackbone, { MODEL, INPUT }: Config): string[] {
  const { RESNETS, PIXEL_STD } = MODEL;
  const pairs: [string, unknown, unknown][] = [
    ['MODEL.RESNETS.DEPTH', RESNETS.DEPTH, settings.depth],
    ['MODEL.RESNETS.NUM_GROUPS', RESNETS.NUM_GROUPS, settings.groups],
    ['MODEL.RESNETS.STRIDE_IN_1X1', RESNETS.STRIDE_IN_1X1, settings.strideIn1x1],
    ['INPUT.FORMAT', INPUT.FORMAT, settings.format],
    ['MODEL.PIXEL_STD', PIXEL_STD, settings.pixelStd],
  ];
  return pairs
    .filter(([, given, wanted]) => JSON.stringify(given) !== JSON.stringify(wanted))
    .map(([key, given, wanted]) => `${key} is ${JSON.stringify(given)}; the backbone was trained with ${JSON.stringify(wanted)}`);
}
