import type { Checkpoint } from '../checkpoint/parse.js';
import { CheckpointError } from '../errors.js';
import { settingsText } from './settings_text.js';

/** Depth by the blocks of res4. */
const DEPTHS: Readonly<Record<number, number>> = { 6: 50, 23: 101 };

/**
 * What Matterport's Mask R-CNN is configured with for COCO, as `KEY=VALUE`, with the depth, the widths and the classes of these weights.
 * @throws CheckpointError where the tensors make no such model
 */
export function matterportSettings({ source, tensors }: Checkpoint): string[] {
  const shape = (name: string): number[] => {
    const tensor = tensors.get(name);
    if (!tensor) throw new CheckpointError(`${source}: has names of Matterport's Mask R-CNN, but no '${name}'.`);
    return tensor.shape;
  };
  const count = (pattern: (i: number) => string, from: number): number => {
    let i = from;
    while (tensors.has(pattern(i))) i++;
    return i - from;
  };
  const body = 'backbone.bottom_up';
  const blocks = count((i) => `${body}.res4.${i}.conv1.weight`, 0);
  if (DEPTHS[blocks] === undefined)
    throw new CheckpointError(
      `${source}: a Mask R-CNN of Matterport's whose res4 has ${blocks} blocks; expected 6 (ResNet-50) or 23 (ResNet-101).`,
    );
  const mask = tensors.has('roi_heads.mask_head.predictor.weight');
  const model: Record<string, unknown> = {
    CONVENTIONS: 'matterport',
    MASK_ON: mask,
    PIXEL_MEAN: [123.7, 116.8, 103.9],
    PIXEL_STD: ['1.0', '1.0', '1.0'],
    // Widths over heights there, heights over widths here.
    'ANCHOR_GENERATOR.ASPECT_RATIOS': [['2.0', '1.0', '0.5']],
    'RESNETS.DEPTH': DEPTHS[blocks],
    'RESNETS.NORM': 'FrozenBN',
    'RESNETS.STRIDE_IN_1X1': true,
    'RESNETS.STEM_OUT_CHANNELS': shape(`${body}.stem.conv1.weight`)[0],
    'RESNETS.RES2_OUT_CHANNELS': shape(`${body}.res2.0.conv3.weight`)[0],
    'RESNETS.WIDTH_PER_GROUP': shape(`${body}.res2.0.conv2.weight`)[0],
    'FPN.OUT_CHANNELS': shape('backbone.fpn_output2.weight')[0],
    'RPN.CONV_DIMS': [shape('proposal_generator.rpn_head.conv.weight')[0]],
    'RPN.BBOX_REG_WEIGHTS': ['10.0', '10.0', '5.0', '5.0'],
    'RPN.PRE_NMS_TOPK_TEST': 6000,
    'RPN.POST_NMS_TOPK_TEST': 1000,
    'RPN.NMS_THRESH': 0.7,
    'ROI_HEADS.NUM_CLASSES': shape('roi_heads.box_predictor.cls_score.weight')[0] - 1,
    'ROI_HEADS.SCORE_THRESH_TEST': 0.7,
    'ROI_HEADS.NMS_THRESH_TEST': 0.3,
    'ROI_BOX_HEAD.NUM_FC': 2,
    'ROI_BOX_HEAD.FC_DIM': shape('roi_heads.box_head.fc1.weight')[0],
    ...(mask
      ? {
          'ROI_MASK_HEAD.NUM_CONV': count((i) => `roi_heads.mask_head.mask_fcn${i}.weight`, 1),
          'ROI_MASK_HEAD.CONV_DIM': shape('roi_heads.mask_head.mask_fcn1.weight')[0],
        }
      : {}),
  };
  return [
    'INPUT.FORMAT=RGB',
    'INPUT.MIN_SIZE_TEST=800',
    'INPUT.MAX_SIZE_TEST=1024',
    'TEST.DETECTIONS_PER_IMAGE=100',
    ...settingsText('MODEL.', model),
  ];
}
