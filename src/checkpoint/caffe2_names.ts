import { TensorData } from './tensor_data.js';

/** What a blob of a Caffe2 or Detectron1 file becomes. */
export interface BlobMapping {
  /** Detectron2's name. */
  name: string;
  /** What has to be done with the rows: Detectron1 puts the background first. */
  rows: 'as is' | 'background last' | 'drop background box' | 'drop background mask';
}

// In the patterns, S stands for `_w`, `_b` or a norm's parameter: see SUFFIXES.
const SUFFIXES: readonly [pattern: string, name: string][] = [
  ['_w', '.weight'],
  ['_b', '.bias'],
  ['_bn_s', '.norm.weight'],
  ['_bn_b', '.norm.bias'],
  ['_bn_bias', '.norm.bias'],
  ['_bn_gamma', '.norm.weight'],
  ['_bn_beta', '.norm.bias'],
  ['_bn_rm', '.norm.running_mean'],
  ['_bn_running_mean', '.norm.running_mean'],
  ['_bn_riv', '.norm.running_var'],
  ['_bn_running_var', '.norm.running_var'],
  ['_gn_s', '.norm.weight'],
  ['_gn_b', '.norm.bias'],
  ['_gn_bias', '.norm.bias'],
];

const BLOCK_PARTS: Readonly<Record<string, string>> = {
  branch1: 'shortcut',
  branch2a: 'conv1',
  branch2b: 'conv2',
  branch2c: 'conv3',
};

type Stem = readonly [pattern: RegExp, name: (parts: string[]) => string, rows?: BlobMapping['rows']];

// The one name table. {stage} prefixes depend on whether the file has an FPN: see stagePrefix.
const STEMS: readonly Stem[] = [
  [/^conv1$|^res_conv1$/, () => 'STAGE1.stem.conv1'],
  [
    /^res([2-5])_(\d+)_(branch1|branch2a|branch2b|branch2c)$/,
    ([stage, block, part]) => `STAGE${stage}.res${stage}.${block}.${BLOCK_PARTS[part]}`,
  ],
  [/^fpn_inner_res([2-5])_\d+_sum(?:_lateral)?$/, ([stage]) => `backbone.fpn_lateral${stage}`],
  [/^fpn_res([2-5])_\d+_sum$/, ([stage]) => `backbone.fpn_output${stage}`],
  [/^conv_rpn(?:_fpn2)?$/, () => 'proposal_generator.rpn_head.conv'],
  [/^rpn_cls_logits(?:_fpn2)?$/, () => 'proposal_generator.rpn_head.objectness_logits'],
  [/^rpn_bbox_pred(?:_fpn2)?$/, () => 'proposal_generator.rpn_head.anchor_deltas'],
  [/^head_conv(\d+)$/, ([i]) => `roi_heads.box_head.conv${i}`],
  [/^fc6$/, () => 'roi_heads.box_head.fc1'],
  [/^fc7$/, () => 'roi_heads.box_head.fc2'],
  [/^cls_score$/, () => 'roi_heads.box_predictor.cls_score', 'background last'],
  [/^bbox_pred$/, () => 'roi_heads.box_predictor.bbox_pred', 'drop background box'],
  [/^_\[mask\]_fcn(\d+)$/, ([i]) => `roi_heads.mask_head.mask_fcn${i}`],
  [/^conv5_mask$/, () => 'roi_heads.mask_head.deconv'],
  [/^mask_fcn_logits$/, () => 'roi_heads.mask_head.predictor', 'drop background mask'],
  [/^conv_fcn(\d+)$/, ([i]) => `roi_heads.keypoint_head.conv_fcn${i}`],
  [/^kps_score_lowres$/, () => 'roi_heads.keypoint_head.score_lowres'],
];

/** Blobs that no Detectron2 model has: the ImageNet classifier, the bias before a stem's norm, optimizer state, learning rates. */
const IGNORED: readonly RegExp[] = [/_momentum$/, /^fc1000_[wb]$/, /^pred_[wb]$/, /^conv1_b$/, /^lr$/, /^weight_order$/];

export function isIgnoredBlob(blob: string): boolean {
  return IGNORED.some((pattern) => pattern.test(blob));
}

/**
 * Detectron2's name of a Caffe2 or Detectron1 blob; undefined for a blob that the table does not know.
 * @param withFpn whether the backbone sits under an FPN (`backbone.bottom_up`); else res5 belongs to the heads
 */
export function mapBlob(blob: string, withFpn: boolean): BlobMapping | undefined {
  const suffix = SUFFIXES.filter(([end]) => blob.endsWith(end)).sort((a, b) => b[0].length - a[0].length)[0];
  if (!suffix) return undefined;
  const stem = blob.slice(0, -suffix[0].length);
  for (const [pattern, name, rows] of STEMS) {
    const match = pattern.exec(stem);
    if (match)
      return {
        name: name(match.slice(1)).replace(/^STAGE(\d)/, (_, stage: string) => stagePrefix(stage, withFpn)) + suffix[1],
        rows: rows ?? 'as is',
      };
  }
  return undefined;
}

function stagePrefix(stage: string, withFpn: boolean): string {
  if (withFpn) return 'backbone.bottom_up';
  return stage === '5' ? 'roi_heads' : 'backbone';
}

export interface ConvertedBlobs {
  tensors: Map<string, TensorData>;
  /** Blobs that are known to be of no use. */
  ignored: string[];
}

/**
 * Gives the blobs Detectron2's names and class order: background last in `cls_score`, absent in `bbox_pred` and the mask predictor.
 * Frozen norms whose statistics were folded into scale and shift get running_mean 0 and running_var 1 - 1e-5, which undo Detectron2's epsilon.
 * Unknown blobs keep their names.
 */
export function convertBlobs(blobs: ReadonlyMap<string, TensorData>): ConvertedBlobs {
  const names = [...blobs.keys()];
  // A backbone alone (no RPN) is taken as the part under an FPN, the way most models use it.
  const withFpn = names.some((name) => name.startsWith('fpn_')) || !names.some((name) => name.startsWith('conv_rpn'));
  const tensors = new Map<string, TensorData>();
  const ignored: string[] = [];
  for (const [blob, tensor] of blobs) {
    if (isIgnoredBlob(blob)) {
      ignored.push(blob);
      continue;
    }
    const mapping = mapBlob(blob, withFpn);
    tensors.set(mapping?.name ?? blob, mapping ? arrangeRows(tensor, mapping.rows) : tensor);
  }
  for (const [blob, tensor] of blobs) {
    const name = blob.endsWith('_bn_s') && !isIgnoredBlob(blob) ? mapBlob(blob, withFpn)?.name : undefined;
    if (name === undefined) continue;
    const prefix = name.slice(0, -'weight'.length);
    const mean = new Float32Array(tensor.size);
    const variance = new Float32Array(tensor.size).fill(1 - 1e-5);
    if (!tensors.has(`${prefix}running_mean`))
      tensors.set(`${prefix}running_mean`, new TensorData(new Uint8Array(mean.buffer), 'F32', tensor.shape));
    if (!tensors.has(`${prefix}running_var`))
      tensors.set(`${prefix}running_var`, new TensorData(new Uint8Array(variance.buffer), 'F32', tensor.shape));
  }
  return { tensors, ignored };
}

function arrangeRows(tensor: TensorData, rows: BlobMapping['rows']): TensorData {
  if (tensor.shape.length === 0) return tensor;
  switch (rows) {
    case 'as is':
      return tensor;
    case 'background last':
      return tensor.firstRowLast();
    case 'drop background box':
      return tensor.dropRows(4);
    case 'drop background mask':
      // A class-agnostic mask has one row, and that one is the foreground.
      return tensor.shape[0] > 1 ? tensor.dropRows(1) : tensor;
  }
}
