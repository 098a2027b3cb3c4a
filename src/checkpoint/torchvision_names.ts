import { cocoClasses } from '../model_zoo/coco_classes.js';
import { TensorData } from './tensor_data.js';

type Rows = 'as is' | 'background last' | 'drop background box' | 'drop background';
type Rule = readonly [pattern: RegExp, name: (parts: string[]) => string, rows?: Rows];

const N = '(weight|bias|running_mean|running_var|num_batches_tracked)';
const rule = (pattern: string, name: Rule[1], rows?: Rows): Rule => [new RegExp(`^${pattern}$`), name, rows];
const next = (number: string | undefined, by: number): number => Number(number) + by;

// torchvision's names, of the files before 0.14 too (`conv.weight`, `mask_fcn1.weight`), and those of its v2 models with their batch norms (`.1.`).
const RULES: readonly Rule[] = [
  rule(`backbone\\.body\\.conv1\\.${N}`, ([p]) => `backbone.bottom_up.stem.conv1.${p}`),
  rule(`backbone\\.body\\.bn1\\.${N}`, ([p]) => `backbone.bottom_up.stem.conv1.norm.${p}`),
  rule(
    `backbone\\.body\\.layer(\\d)\\.(\\d+)\\.conv(\\d)\\.${N}`,
    ([l, b, c, p]) => `backbone.bottom_up.res${next(l, 1)}.${b}.conv${c}.${p}`,
  ),
  rule(
    `backbone\\.body\\.layer(\\d)\\.(\\d+)\\.bn(\\d)\\.${N}`,
    ([l, b, c, p]) => `backbone.bottom_up.res${next(l, 1)}.${b}.conv${c}.norm.${p}`,
  ),
  rule(
    `backbone\\.body\\.layer(\\d)\\.(\\d+)\\.downsample\\.0\\.${N}`,
    ([l, b, p]) => `backbone.bottom_up.res${next(l, 1)}.${b}.shortcut.${p}`,
  ),
  rule(
    `backbone\\.body\\.layer(\\d)\\.(\\d+)\\.downsample\\.1\\.${N}`,
    ([l, b, p]) => `backbone.bottom_up.res${next(l, 1)}.${b}.shortcut.norm.${p}`,
  ),
  rule(`backbone\\.fpn\\.inner_blocks\\.(\\d)(?:\\.0)?\\.${N}`, ([i, p]) => `backbone.fpn_lateral${next(i, 2)}.${p}`),
  rule(`backbone\\.fpn\\.inner_blocks\\.(\\d)\\.1\\.${N}`, ([i, p]) => `backbone.fpn_lateral${next(i, 2)}.norm.${p}`),
  rule(`backbone\\.fpn\\.layer_blocks\\.(\\d)(?:\\.0)?\\.${N}`, ([i, p]) => `backbone.fpn_output${next(i, 2)}.${p}`),
  rule(`backbone\\.fpn\\.layer_blocks\\.(\\d)\\.1\\.${N}`, ([i, p]) => `backbone.fpn_output${next(i, 2)}.norm.${p}`),
  rule(`rpn\\.head\\.conv\\.${N}`, ([p]) => `proposal_generator.rpn_head.conv.${p}`),
  rule(`rpn\\.head\\.conv\\.(\\d)\\.0\\.${N}`, ([i, p]) => `proposal_generator.rpn_head.conv.conv${i}.${p}`),
  rule(`rpn\\.head\\.cls_logits\\.${N}`, ([p]) => `proposal_generator.rpn_head.objectness_logits.${p}`),
  rule(`rpn\\.head\\.bbox_pred\\.${N}`, ([p]) => `proposal_generator.rpn_head.anchor_deltas.${p}`),
  rule(`roi_heads\\.box_head\\.fc6\\.${N}`, ([p]) => `roi_heads.box_head.fc1.${p}`),
  rule(`roi_heads\\.box_head\\.fc7\\.${N}`, ([p]) => `roi_heads.box_head.fc2.${p}`),
  rule(`roi_heads\\.box_head\\.(\\d)\\.0\\.${N}`, ([i, p]) => `roi_heads.box_head.conv${next(i, 1)}.${p}`),
  rule(`roi_heads\\.box_head\\.(\\d)\\.1\\.${N}`, ([i, p]) => `roi_heads.box_head.conv${next(i, 1)}.norm.${p}`),
  rule(`roi_heads\\.box_head\\.5\\.${N}`, ([p]) => `roi_heads.box_head.fc1.${p}`),
  rule(`roi_heads\\.box_predictor\\.cls_score\\.${N}`, ([p]) => `roi_heads.box_predictor.cls_score.${p}`, 'background last'),
  rule(`roi_heads\\.box_predictor\\.bbox_pred\\.${N}`, ([p]) => `roi_heads.box_predictor.bbox_pred.${p}`, 'drop background box'),
  rule(`roi_heads\\.mask_head\\.mask_fcn(\\d)\\.${N}`, ([i, p]) => `roi_heads.mask_head.mask_fcn${i}.${p}`),
  rule(`roi_heads\\.mask_head\\.(\\d)\\.0\\.${N}`, ([i, p]) => `roi_heads.mask_head.mask_fcn${next(i, 1)}.${p}`),
  rule(`roi_heads\\.mask_head\\.(\\d)\\.1\\.${N}`, ([i, p]) => `roi_heads.mask_head.mask_fcn${next(i, 1)}.norm.${p}`),
  rule(`roi_heads\\.mask_predictor\\.conv5_mask\\.${N}`, ([p]) => `roi_heads.mask_head.deconv.${p}`),
  rule(`roi_heads\\.mask_predictor\\.mask_fcn_logits\\.${N}`, ([p]) => `roi_heads.mask_head.predictor.${p}`, 'drop background'),
  rule(`roi_heads\\.keypoint_head\\.(\\d+)\\.${N}`, ([i, p]) => `roi_heads.keypoint_head.conv_fcn${Number(i) / 2 + 1}.${p}`),
  rule(`roi_heads\\.keypoint_predictor\\.kps_score_lowres\\.${N}`, ([p]) => `roi_heads.keypoint_head.score_lowres.${p}`),
];

/** Whether these are the names of torchvision's `fasterrcnn_resnet50_fpn`, `maskrcnn_resnet50_fpn` or `keypointrcnn_resnet50_fpn` (v2 too). */
export function isTorchvision(names: { has(name: string): boolean }): boolean {
  return (
    names.has('backbone.body.conv1.weight') &&
    names.has('rpn.head.cls_logits.weight') &&
    names.has('roi_heads.box_predictor.cls_score.weight')
  );
}

function find(name: string): { name: string; rows: Rows } | undefined {
  for (const [pattern, to, rows = 'as is'] of RULES) {
    const match = pattern.exec(name);
    if (match) return { name: to(match.slice(1)), rows };
  }
  return undefined;
}

/** torchvision's 91 classes are COCO's category ids; ids that COCO does not use are 'N/A'. Without the background. */
export const torchvisionClassNames: readonly string[] = Array.from(
  { length: 90 },
  (_, i) => cocoClasses.find(({ id }) => id === i + 1)?.name ?? 'N/A',
);

/**
 * torchvision's tensors under Detectron2's names, background last in `cls_score` and absent from boxes and masks. Unknown names stay.
 *
 * Frozen norms are computed with the epsilon 0 that torchvision gives the published weights (and what was fine-tuned from them), and stored as scale and
 * shift with running_mean 0 and running_var 1 - 1e-5, which undo Detectron2's epsilon. Batch norms that count their batches were trained and keep theirs.
 * @returns the tensors, and what the metadata has to say of them
 */
export function convertTorchvision(tensors: ReadonlyMap<string, TensorData>): {
  tensors: Map<string, TensorData>;
  metadata: Record<string, string>;
} {
  const out = new Map<string, TensorData>();
  for (const [name, tensor] of tensors) {
    const found = find(name);
    // Detectron2 numbers the RPN's convolutions only where there are several.
    if (found && !tensors.has('rpn.head.conv.1.0.weight'))
      found.name = found.name.replace('rpn_head.conv.conv0.', 'rpn_head.conv.');
    out.set(found?.name ?? name, found ? arrange(tensor, found.rows) : tensor);
  }
  foldFrozenNorms(out);
  const classes = out.get('roi_heads.box_predictor.cls_score.weight')!.shape[0] - 1;
  const isPose = out.has('roi_heads.keypoint_head.score_lowres.weight');
  const names =
    classes === torchvisionClassNames.length ? torchvisionClassNames : isPose && classes === 1 ? ['person'] : undefined;
  return { tensors: out, metadata: { conventions: 'torchvision', ...(names ? { class_names: JSON.stringify(names) } : {}) } };
}

function arrange(tensor: TensorData, rows: Rows): TensorData {
  if (tensor.shape.length === 0) return tensor;
  if (rows === 'background last') return tensor.firstRowLast();
  if (rows === 'drop background box') return tensor.dropRows(4);
  return rows === 'drop background' ? tensor.dropRows(1) : tensor;
}

function foldFrozenNorms(tensors: Map<string, TensorData>): void {
  for (const name of [...tensors.keys()]) {
    if (!name.endsWith('.norm.running_var')) continue;
    const prefix = name.slice(0, -'running_var'.length);
    const [weight, bias, mean] = ['weight', 'bias', 'running_mean'].map((part) => tensors.get(prefix + part)?.toFloat32());
    if (tensors.has(`${prefix}num_batches_tracked`) || !weight || !bias || !mean) continue;
    const variance = tensors.get(name)!.toFloat32();
    const scale = Float32Array.from(weight, (w, i) => w / Math.sqrt(variance[i]));
    const shift = Float32Array.from(bias, (b, i) => b - mean[i] * scale[i]);
    const put = (part: string, values: Float32Array): void => {
      tensors.set(prefix + part, new TensorData(new Uint8Array(values.buffer), 'F32', [values.length]));
    };
    put('weight', scale);
    put('bias', shift);
    put('running_mean', new Float32Array(scale.length));
    put('running_var', new Float32Array(scale.length).fill(1 - 1e-5));
  }
}
