import type { Bench } from './bench.js';

/** Every bench by name; its file is imported only when it runs. */
export const BENCHES: Record<string, () => Promise<Bench>> = {
  roi_align_forward: async () => (await import('./roi_align.js')).roiAlignForward(),
  roi_align_backward: async () => (await import('./roi_align.js')).roiAlignBackward(),
  nms_4000: async () => (await import('./nms.js')).nms4000(),
  mask_paste_rle_100: async () => (await import('./mask_paste_rle.js')).maskPasteRle100(),
  rcnn_r50_fpn_800: async () => (await import('./rcnn.js')).rcnnR50Fpn800(),
};
