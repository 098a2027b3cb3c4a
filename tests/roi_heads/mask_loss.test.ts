import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import { classificationMetrics } from '../../src/roi_heads/box_losses.js';
import { maskBatch, maskLoss, maskMetrics } from '../../src/roi_heads/mask_loss.js';

const sampled = [
  {
    boxes: Float32Array.of(0, 0, 4, 4, 2, 0, 6, 4, 9, 9, 10, 10),
    classes: Int32Array.of(1, 0, 2),
    foregroundCount: 2,
    matches: Int32Array.of(1, 0, 0),
    targets: new Float32Array(12),
  },
];
const sample = {
  data: new Uint8Array(0),
  height: 8,
  width: 8,
  imageId: 1,
  fileName: 'a.png',
  groundTruth: {
    boxes: new Float32Array(8),
    classes: Int32Array.of(0, 1),
    masks: [
      // The left half of the 8 x 8 image as a bitmap, and a triangle-free square as a polygon.
      { kind: 'bitmap' as const, bitmap: Uint8Array.from({ length: 64 }, (_, i) => Number(i % 8 < 4)) },
      { kind: 'polygons' as const, polygons: [Float64Array.of(0, 0, 2, 0, 2, 4, 0, 4)] },
    ],
  },
};

describe('the mask branch', () => {
  it('takes the foreground with targets inside its boxes', () => {
    const { boxes, classes, targets } = maskBatch(sampled, [sample], 4);
    expect([...boxes[0]]).toEqual([0, 0, 4, 4, 2, 0, 6, 4]);
    expect([...classes]).toEqual([1, 0]);
    expect([...targets]).toEqual([...Array(8).fill([1, 1, 0, 0])].flat());
  });

  it('needs masks', () => {
    const { masks: _, ...groundTruth } = sample.groundTruth;
    expect(() => maskBatch(sampled, [{ ...sample, groundTruth }], 4)).toThrow(/a\.png has objects without masks/);
  });

  it('is judged on the true class alone', async () => {
    await tf.setBackend('cpu');
    const logits = tf.tensor4d([5, 0, -5, 0, -9, 3, 9, -3], [2, 1, 2, 2]);
    const batch = { boxes: [], classes: Int32Array.of(1, 0), targets: Float32Array.of(1, 0, 0, 1) };
    const { loss_mask, counts } = maskLoss(logits, batch);
    // The logits of the true classes are 0, 0, -9, 9.
    expect((await loss_mask.data())[0]).toBeCloseTo((2 * Math.log(2) + 2 * Math.log1p(Math.exp(-9))) / 4, 6);
    expect([...(await counts.data())]).toEqual([1, 1, 2]);
    expect(maskMetrics([1, 1, 2], 4)).toEqual({
      'mask_rcnn/accuracy': 0.75,
      'mask_rcnn/false_positive': 0,
      'mask_rcnn/false_negative': 0.5,
    });
  });
});

describe('classification metrics', () => {
  it('count all rows, the foreground, and foreground taken for background', () => {
    const logits = Float32Array.of(3, 1, 2, 0, 1, 2, 1, 2, 0, 0, 0, 9);
    expect(classificationMetrics(logits, Int32Array.of(0, 1, 1, 2))).toEqual({
      'fast_rcnn/cls_accuracy': 0.75,
      'fast_rcnn/fg_cls_accuracy': 2 / 3,
      'fast_rcnn/false_negative': 1 / 3,
    });
  });
});
