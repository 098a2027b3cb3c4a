import type { OpsAdapter } from './case_view.js';

/** The adapter of an `op`; each is imported only when its file is met, so that one broken part does not hide the others. */
export const OPS: Record<string, () => Promise<OpsAdapter>> = {
  anchors: async () => (await import('./anchors.js')).anchors,
  batched_nms: async () => (await import('./batched_nms.js')).batchedNmsAdapter,
  box2box_transform: async () => (await import('./box2box_transform.js')).box2boxTransform,
  deform_conv: async () => (await import('./deform_conv.js')).deformConv,
  image_list: async () => (await import('./image_list.js')).imageList,
  inference: async () => (await import('./inference.js')).inference,
  keypoints: async () => (await import('./keypoints.js')).keypoints,
  losses: async () => (await import('./losses.js')).losses,
  lr_schedule: async () => (await import('./lr_schedule.js')).lrScheduleAdapter,
  matcher: async () => (await import('./matcher.js')).matcher,
  norms: async () => (await import('./norms.js')).norms,
  pairwise_iou: async () => (await import('./pairwise_iou.js')).pairwiseIouAdapter,
  paste_masks: async () => (await import('./paste_masks.js')).pasteMasks,
  rasterize_polygons: async () => (await import('./rasterize_polygons.js')).rasterizePolygons,
  resize: async () => (await import('./resize.js')).resize,
  roi_align: async () => (await import('./roi_align.js')).roiAlignAdapter,
  roi_pooler: async () => (await import('./roi_pooler.js')).roiPooler,
  rotated: async () => (await import('./rotated.js')).rotated,
};
