import { postprocess } from '../../../src/meta_arch/postprocess.js';
import { pasteMask } from '../../../src/ops/mask_paste/mask_paste.js';
import { fastRcnnInference } from '../../../src/roi_heads/fast_rcnn_inference.js';
import { compareMask, type Line } from '../compare.js';
import { NOT_YET, Unsupported } from '../unsupported.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** The choice of detections, and detections brought to the image's size. */
export const inference: OpsAdapter = {
  purpose: 'inference',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    if (view.owns('boxes')) return select(view);
    if (view.owns('pred_boxes')) return toImage(view);
    throw new Unsupported(NOT_YET);
  },

  /** Masks may differ in a few boundary pixels. */
  compare(view: CaseView, where: { case: string; name: string }, actual: OpsOutput): Line | undefined {
    if (where.name !== 'pred_masks' || 'value' in actual) return undefined;
    const expected = view.output('pred_masks');
    if (!('tensor' in expected)) return undefined;
    const pixels = expected.tensor.shape[1] * expected.tensor.shape[2];
    const lines = Array.from({ length: expected.tensor.shape[0] }, (_, i) =>
      compareMask(
        where,
        Array.prototype.slice.call(actual.data, i * pixels, (i + 1) * pixels),
        expected.tensor.data.subarray(i * pixels, (i + 1) * pixels),
      ),
    );
    return lines.find((line) => !line.ok) ?? lines.reduce((a, b) => ((b.maxRel ?? 0) > (a.maxRel ?? 0) ? b : a));
  },
};

function select(view: CaseView): Record<string, OpsOutput> {
  const boxes = view.float32('boxes');
  const scores = view.input('scores');
  const found = fastRcnnInference(
    boxes,
    view.float32('scores'),
    scores.shape[0],
    view.required<[number, number]>('image_shape'),
    {
      scoreThreshold: view.required<number>('score_thresh'),
      nmsThreshold: view.required<number>('nms_thresh'),
      topK: view.required<number>('topk_per_image'),
    },
  );
  const count = found.scores.length;
  return {
    pred_boxes: { shape: [count, 4], data: found.boxes },
    scores: { shape: [count], data: found.scores },
    pred_classes: { shape: [count], data: found.classes },
    kept_rows: { shape: [count], data: found.rows },
  };
}

function toImage(view: CaseView): Record<string, OpsOutput> {
  const masks = view.input('pred_masks');
  const size = masks.shape[3];
  const height = view.required<number>('output_height');
  const width = view.required<number>('output_width');
  const scores = view.float32('scores');
  const count = scores.length;
  const raw = {
    boxes: view.float32('pred_boxes') as Float32Array<ArrayBuffer>,
    scores: scores as Float32Array<ArrayBuffer>,
    classes: new Int32Array(count),
    rows: new Int32Array(count),
    masks: { size, probabilities: view.float32('pred_masks') },
  };
  const final = postprocess(raw, view.required<[number, number]>('input_size'), [height, width]);
  const kept = final.scores.length;
  const bitmaps = new Uint8Array(kept * height * width);
  for (let i = 0; i < kept; i++) {
    const mask = final.masks!.probabilities.slice(i * size * size, (i + 1) * size * size);
    const { x0, y0, x1, y1, bitmap } = pasteMask(mask, size, final.boxes.subarray(i * 4, i * 4 + 4), height, width);
    for (let y = y0; y < y1; y++)
      bitmaps.set(bitmap.subarray((y - y0) * (x1 - x0), (y - y0 + 1) * (x1 - x0)), (i * height + y) * width + x0);
  }
  return {
    pred_boxes: { shape: [kept, 4], data: final.boxes },
    scores: { shape: [kept], data: final.scores },
    pred_masks: { shape: [kept, height, width], data: bitmaps },
  };
}
