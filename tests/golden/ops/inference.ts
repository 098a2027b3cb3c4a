import * as tf from '@tensorflow/tfjs-core';
import { postprocess } from '../../../src/meta_arch/postprocess.js';
import { pasteMask } from '../../../src/ops/mask_paste/mask_paste.js';
import { fastRcnnInference } from '../../../src/roi_heads/fast_rcnn_inference.js';
import { combinePanoptic } from '../../../src/semantic/combine_panoptic.js';
import { semanticScores } from '../../../src/semantic/semantic_labels.js';
import { compareMask, type Line } from '../compare.js';
import { toNchw, toNhwc } from '../layout.js';
import { NOT_YET, Unsupported } from '../unsupported.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

/** The choice of detections; detections and semantic logits brought to the image's size; things and stuff in one map. */
export const inference: OpsAdapter = {
  purpose: 'inference',
  async run(view: CaseView): Promise<Record<string, OpsOutput>> {
    if (view.owns('logits')) return semantic(view);
    if (view.owns('sem_seg')) return panoptic(view);
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

async function semantic(view: CaseView): Promise<Record<string, OpsOutput>> {
  const { shape, data } = view.input('logits');
  const logits = toNhwc({ shape: [1, ...shape], data });
  const input = tf.tensor4d(logits.data, logits.shape as [number, number, number, number]);
  const size: [number, number] = [view.required('output_height'), view.required('output_width')];
  const resized = semanticScores(input, 0, view.required<[number, number]>('img_size'), size);
  const out = toNchw({ shape: resized.shape, data: await resized.data() });
  tf.dispose([input, resized]);
  return { out: { shape: out.shape.slice(1), data: out.data } };
}

function panoptic(view: CaseView): Record<string, OpsOutput> {
  const masks = view.input('pred_masks');
  const [, height, width] = masks.shape as [number, number, number];
  const classes = view.input('pred_classes').data;
  const things = Array.from(view.float32('scores'), (score, i) => ({
    score,
    categoryId: Number(classes[i]),
    bitmap: () => Uint8Array.from(Array.prototype.slice.call(masks.data, i * height * width, (i + 1) * height * width)),
  }));
  const { ids, segments } = combinePanoptic(things, Int32Array.from(view.input('sem_seg').data), height, width, {
    overlapThreshold: view.required<number>('overlap_threshold'),
    stuffAreaLimit: view.required<number>('stuff_area_thresh'),
    scoreThreshold: view.required<number>('instances_score_thresh'),
  });
  const named = segments.map(({ id, isThing, categoryId, area, score, instanceIndex }) =>
    isThing
      ? { id, isthing: true, score, category_id: categoryId, instance_id: instanceIndex }
      : { id, isthing: false, category_id: categoryId, area },
  );
  return { panoptic_seg: { shape: [height, width], data: ids }, segments_info: { value: named } };
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
