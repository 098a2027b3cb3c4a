import type { Checkpoint } from '../checkpoint/parse.js';
import { CheckpointError } from '../errors.js';
import { settingsText } from './settings_text.js';

/** Depth by the blocks of res4, of networks with bottlenecks. */
const RES4_BLOCKS: Readonly<Record<number, number>> = { 6: 50, 23: 101, 36: 152 };

/** What torchvision builds a model of these weights with, as `KEY=VALUE`. @throws CheckpointError where the tensors make no model of torchvision */
export function torchvisionSettings({ source, tensors }: Checkpoint): string[] {
  const shape = (name: string): number[] => {
    const tensor = tensors.get(name);
    if (!tensor) throw new CheckpointError(`${source}: has names of a torchvision detector, but no '${name}'.`);
    return tensor.shape;
  };
  const count = (pattern: (i: number) => string, from: number): number => {
    let i = from;
    while (tensors.has(pattern(i))) i++;
    return i - from;
  };
  const has = (name: string): boolean => tensors.has(name);
  const body = 'backbone.bottom_up';
  const blocks = count((i) => `${body}.res4.${i}.conv1.weight`, 0);
  const bottleneck = has(`${body}.res2.0.conv3.weight`);
  const depth = bottleneck ? RES4_BLOCKS[blocks] : { 2: 18, 6: 34 }[blocks];
  if (depth === undefined)
    throw new CheckpointError(
      `${source}: a torchvision detector whose layer3 has ${blocks} blocks; expected a ResNet of depth 18, 34, 50, 101 or 152.`,
    );
  const [middle, perGroup] = shape(`${body}.res2.0.conv2.weight`);
  const groups = bottleneck ? middle / perGroup : 1;
  const norm = (conv: string): string =>
    !has(`${conv}.norm.weight`) ? '' : has(`${conv}.norm.num_batches_tracked`) ? 'BN' : 'FrozenBN';
  const convs = count((i) => `roi_heads.box_head.conv${i}.weight`, 1);
  const mask = has('roi_heads.mask_head.deconv.weight');
  const keypoints = has('roi_heads.keypoint_head.score_lowres.weight');
  const rpnConvs = has('proposal_generator.rpn_head.conv.weight')
    ? 1
    : count((i) => `proposal_generator.rpn_head.conv.conv${i}.weight`, 0);
  const settings: Record<string, unknown> = {
    CONVENTIONS: 'torchvision',
    MASK_ON: mask,
    KEYPOINT_ON: keypoints,
    PIXEL_MEAN: [0.485 * 255, 0.456 * 255, 0.406 * 255],
    PIXEL_STD: [0.229 * 255, 0.224 * 255, 0.225 * 255],
    'RESNETS.DEPTH': depth,
    'RESNETS.NORM': norm(`${body}.stem.conv1`),
    'RESNETS.STRIDE_IN_1X1': false,
    'RESNETS.STEM_OUT_CHANNELS': shape(`${body}.stem.conv1.weight`)[0],
    'RESNETS.RES2_OUT_CHANNELS': shape(`${body}.res2.0.conv${bottleneck ? 3 : 2}.weight`)[0],
    'RESNETS.NUM_GROUPS': groups,
    'RESNETS.WIDTH_PER_GROUP': middle / groups,
    'FPN.OUT_CHANNELS': shape('backbone.fpn_output2.weight')[0],
    'FPN.NORM': norm('backbone.fpn_output2'),
    'RPN.PRE_NMS_TOPK_TRAIN': 2000,
    'RPN.POST_NMS_TOPK_TRAIN': 2000,
    'RPN.PRE_NMS_TOPK_TEST': 1000,
    'RPN.POST_NMS_TOPK_TEST': 1000,
    'RPN.CONV_DIMS': new Array<number>(rpnConvs).fill(-1),
    'RPN.SMOOTH_L1_BETA': 1 / 9,
    'ROI_HEADS.NUM_CLASSES': shape('roi_heads.box_predictor.cls_score.weight')[0] - 1,
    'ROI_BOX_HEAD.NUM_CONV': convs,
    'ROI_BOX_HEAD.CONV_DIM': convs > 0 ? shape('roi_heads.box_head.conv1.weight')[0] : 256,
    'ROI_BOX_HEAD.NORM': norm('roi_heads.box_head.conv1'),
    'ROI_BOX_HEAD.NUM_FC': count((i) => `roi_heads.box_head.fc${i}.weight`, 1),
    'ROI_BOX_HEAD.FC_DIM': shape('roi_heads.box_head.fc1.weight')[0],
    'ROI_BOX_HEAD.POOLER_TYPE': 'ROIAlign',
    'ROI_BOX_HEAD.POOLER_SAMPLING_RATIO': 2,
    'ROI_BOX_HEAD.SMOOTH_L1_BETA': 1 / 9,
    'ROI_MASK_HEAD.POOLER_TYPE': 'ROIAlign',
    'ROI_MASK_HEAD.POOLER_SAMPLING_RATIO': 2,
    ...(mask
      ? {
          'ROI_MASK_HEAD.NUM_CONV': count((i) => `roi_heads.mask_head.mask_fcn${i}.weight`, 1),
          'ROI_MASK_HEAD.CONV_DIM': shape('roi_heads.mask_head.mask_fcn1.weight')[0],
          'ROI_MASK_HEAD.NORM': norm('roi_heads.mask_head.mask_fcn1'),
        }
      : {}),
    ...(keypoints
      ? {
          'ROI_KEYPOINT_HEAD.POOLER_TYPE': 'ROIAlign',
          'ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO': 2,
          'ROI_KEYPOINT_HEAD.NUM_KEYPOINTS': shape('roi_heads.keypoint_head.score_lowres.weight')[1],
          'ROI_KEYPOINT_HEAD.CONV_DIMS': Array.from(
            { length: count((i) => `roi_heads.keypoint_head.conv_fcn${i}.weight`, 1) },
            (_, i) => shape(`roi_heads.keypoint_head.conv_fcn${i + 1}.weight`)[0],
          ),
        }
      : {}),
  };
  return ['INPUT.FORMAT=RGB', ...settingsText('MODEL.', settings)];
}
