import { expect, it } from 'vitest';
import { getConfig } from '../../src/config/index.js';
import { indivisibleSettings, synchronisedNorms } from '../../src/distributed/indivisible.js';

it.each([
  'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x',
  'COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x',
  'COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x',
  'COCO-PanopticSegmentation/panoptic_fpn_R_50_3x',
  'COCO-Detection/retinanet_R_50_FPN_3x',
  'COCO-Detection/rpn_R_50_FPN_1x',
  'Misc/cascade_mask_rcnn_R_50_FPN_3x',
])('%s trains in several processes', (name) => {
  expect(indivisibleSettings(getConfig(name))).toEqual([]);
});

it('what does not is named, with what does', () => {
  const config = getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', [
    'MODEL.FPN.NORM=SyncBN',
    'MODEL.RESNETS.NORM=SyncBN',
  ]);
  expect(indivisibleSettings(config)).toEqual([]);
  expect(synchronisedNorms(config)).toEqual(['MODEL.FPN.NORM', 'MODEL.RESNETS.NORM']);
  const regnet = getConfig('new_baselines/mask_rcnn_regnetx_4gf_dds_FPN_100ep_LSJ', ['MODEL.RESNETS.NORM=SyncBN']);
  expect(synchronisedNorms(regnet)).toContain('MODEL.REGNETS.NORM');
  expect(synchronisedNorms(regnet)).not.toContain('MODEL.RESNETS.NORM');
  config.MODEL.ROI_MASK_HEAD.NORM = 'SyncBN';
  expect(indivisibleSettings(config)).toEqual([
    expect.stringMatching(/^MODEL\.ROI_MASK_HEAD\.NORM is SyncBN, on regions.*BN takes .* GN does/),
  ]);
  config.MODEL.ROI_MASK_HEAD.NORM = '';
  config.MODEL.ROI_HEADS.NAME = 'Res5ROIHeads';
  expect(indivisibleSettings(config)).toEqual([expect.stringMatching(/^MODEL\.RESNETS\.NORM is SyncBN, on regions/)]);
  config.MODEL.RESNETS.NORM = 'BN';
  config.MODEL.ROI_HEADS.NAME = 'MyHeads';
  expect(indivisibleSettings(config)).toEqual([
    'MODEL.ROI_HEADS.NAME is MyHeads; StandardROIHeads, Res5ROIHeads and CascadeROIHeads do, and heads of your own whose isDivisible is true.',
  ]);
  expect(indivisibleSettings(config, { isDivisible: true })).toEqual([]);
  config.MODEL.META_ARCHITECTURE = 'MyModel';
  expect(indivisibleSettings(config)).toEqual([expect.stringMatching(/^MODEL\.META_ARCHITECTURE is MyModel; GeneralizedRCNN,/)]);
});
