import type { Bench } from './bench.js';

/** Every bench by name; its file is imported only when it runs. */
export const BENCHES: Record<string, () => Promise<Bench>> = {
  roi_align_forward: async () => (await import('./roi_align.js')).roiAlignForward(),
  roi_align_backward: async () => (await import('./roi_align.js')).roiAlignBackward(),
  nms_4000: async () => (await import('./nms.js')).nms4000(),
  ...Object.fromEntries(
    ['50x76', '50x76_2', '13x19', '7x7', '3x3_2', '3x3_4', '1x1_2', 'pointwise_2']
      .flatMap((size) => [`grouped_conv_${size}`, `grouped_conv_${size}_train`])
      .map((name) => [name, async () => (await import('./grouped_conv.js')).GROUPED_CONVS[name]()]),
  ),
  mask_paste_rle_100: async () => (await import('./mask_paste_rle.js')).maskPasteRle100(),
  rcnn_r50_fpn_800: async () => (await import('./rcnn.js')).rcnnR50Fpn800(),
  train_step_r50_fpn_800: async () => (await import('./train_step.js')).trainStepR50Fpn800(),
  coco_eval_bbox: async () => (await import('./coco_eval.js')).cocoEvaluation('bbox'),
  coco_eval_bbox_500: async () => (await import('./coco_eval.js')).cocoEvaluation('bbox', (await import('./coco_data.js')).TENTH),
  coco_eval_segm_500: async () => (await import('./coco_eval.js')).cocoEvaluation('segm', (await import('./coco_data.js')).TENTH),
  coco_eval_segm: async () => (await import('./coco_eval.js')).cocoEvaluation('segm'),
  rle_encode_1000: async () => (await import('./rle.js')).rleEncode1000(),
  rle_decode_1000: async () => (await import('./rle.js')).rleDecode1000(),
  loader_800px: async () => (await import('./loader.js')).loader800px(),
};

/** Benches that need processes of their own and have no peer: scripts that print their own JSON and fail beyond their limits. */
export const SCRIPTS: readonly string[] = [
  'convert_checkpoint',
  'distributed',
  'predict_memory',
  'start_to_first_result',
  'train_memory',
  'train_repeat',
];
