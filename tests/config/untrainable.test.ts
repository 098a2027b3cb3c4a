import { describe, expect, it } from 'vitest';
import { getConfig, untrainableSettings } from '../../src/config/index.js';

const keysOf = (name: string, overrides: string[] = []): string[] =>
  untrainableSettings(getConfig(name, overrides)).map((line) => line.slice(0, line.indexOf(':')));

describe('untrainableSettings', () => {
  it('has nothing against Mask R-CNN on a pyramid, on res4, with dilation', () => {
    expect(keysOf('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x')).toEqual([]);
    expect(keysOf('COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x')).toEqual([]);
    expect(keysOf('COCO-InstanceSegmentation/mask_rcnn_R_50_DC5_3x')).toEqual([]);
  });

  it.each([
    'COCO-Detection/rpn_R_50_FPN_1x',
    'COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x',
    'COCO-Detection/retinanet_R_50_FPN_3x',
    'COCO-PanopticSegmentation/panoptic_fpn_R_50_3x',
    'Misc/cascade_mask_rcnn_R_50_FPN_3x',
  ])('has nothing against %s', (name) => expect(keysOf(name)).toEqual([]));

  it('names a key that training would pass over', () => {
    const overrides = ['MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES=True'];
    expect(keysOf('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', overrides)).toEqual([
      'MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES',
    ]);
  });
});
