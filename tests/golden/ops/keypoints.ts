import { keypointTargets } from '../../../src/data/annotations/keypoint_targets.js';
import { heatmapsToKeypoints } from '../../../src/roi_heads/heatmaps_to_keypoints.js';
import { toNhwc } from '../layout.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** Places from heatmaps, and heatmaps' ones from places. */
export const keypoints: OpsAdapter = {
  purpose: 'both',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    const boxes = view.float32('rois');
    if (view.wants('keypoints')) {
      const { shape, data } = toNhwc(view.input('heatmaps'));
      const [detections, size, , count] = shape;
      const places = heatmapsToKeypoints(Float32Array.from(data), boxes, count!, size!);
      return { keypoints: { shape: [detections!, count!, 4], data: places } };
    }
    const { indices, valid } = keypointTargets(view.float32('keypoints'), boxes, view.required<number>('heatmap_size'));
    const shape = view.input('keypoints').shape.slice(0, 2);
    return { heatmaps: { shape, data: indices }, valid: { shape, data: valid } };
  },
};
