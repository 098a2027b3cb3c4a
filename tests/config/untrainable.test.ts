import { describe, expect, it } from 'vitest';
import { getConfig, untrainableSettings } from '../../src/config/index.js';

const keysOf = (name: string, overrides: string[] = []): string[] =>
  untrainableSettings(getConfig(name, overrides)).map((line) => line.slice(0, line.indexOf(':')));

describe('untrainableSettings', () => {
  it('has nothing against the two-stage models that train', () => {
    expect(keysOf('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x')).toEqual([]);
    expect(keysOf('COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x')).toEqual([]);
    expect(keysOf('COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x')).toEqual([]);
    expect(keysOf('COCO-Detection/rpn_R_50_FPN_1x')).toEqual([]);
  });

  it.each([
    ['COCO-Detection/retinanet_R_50_FPN_3x', 'MODEL.META_ARCHITECTURE'],
    ['COCO-PanopticSegmentation/panoptic_fpn_R_50_3x', 'MODEL.META_ARCHITECTURE'],
    ['Misc/cascade_mask_rcnn_R_50_FPN_3x', 'MODEL.ROI_HEADS.NAME'],
  ])('%s: names %s', (name, key) => {
    expect(keysOf(name)).toEqual([key]);
  });

  it('names a key that training would pass over', () => {
    const overrides = ['MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES=True'];
    expect(keysOf('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', overrides)).toEqual([
      'MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES',
    ]);
  });
});
