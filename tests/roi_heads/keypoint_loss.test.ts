import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import { keypointBatch, keypointLoss } from '../../src/roi_heads/keypoint_loss.js';

const sampled = [
  {
    // The first two hold a labelled keypoint of their object, the third does not; the last is background.
    boxes: Float32Array.of(0, 0, 4, 4, 2, 2, 6, 6, 0, 0, 1, 1, 9, 9, 10, 10),
    classes: Int32Array.of(0, 0, 0, 1),
    foregroundCount: 3,
    matches: Int32Array.of(0, 1, 0, 0),
    targets: new Float32Array(16),
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
    classes: Int32Array.of(0, 0),
    // Two objects of two keypoints: (3, 1) and an unlabelled one; (6, 6) on the lower right corner and (7, 7) outside of the box.
    keypoints: Float32Array.of(3, 1, 2, 2, 2, 0, 6, 6, 1, 7, 7, 2),
  },
};

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('the keypoint branch', () => {
  it('learns from foreground that shows a keypoint, at the cells of those inside', () => {
    const { boxes, rows, targets, metrics } = keypointBatch(sampled, [sample], 2, 4);
    expect([...boxes[0]!]).toEqual([0, 0, 4, 4, 2, 2, 6, 6]);
    expect([...rows]).toEqual([0, 2]);
    expect([...targets]).toEqual([1 * 4 + 3, 3 * 4 + 3]);
    expect(metrics).toEqual({ 'keypoint_head/num_fg_samples': 2 });
  });

  it('needs keypoints, as many as the model has', () => {
    const { keypoints: _, ...groundTruth } = sample.groundTruth;
    expect(() => keypointBatch(sampled, [{ ...sample, groundTruth }], 2, 4)).toThrow(/a\.png has objects without 2 keypoints/);
    expect(() => keypointBatch(sampled, [sample], 17, 4)).toThrow(/17 keypoints/);
  });

  it('is the cross-entropy over the pixels, divided by the keypoints or by a fixed number an image', async () => {
    const batch = keypointBatch(sampled, [sample], 2, 2);
    const values = new Float32Array(2 * 4 * 2);
    // Heatmap 0 of region 0: the right cell (row 0, column 1) has log 5 against three zeros; heatmap 0 of region 1 is flat.
    values[1 * 2] = Math.log(5);
    const logits = tf.tensor4d(values, [2, 2, 2, 2]);
    const sum = -Math.log(5 / 8) + Math.log(4);
    const before = tf.memory().numTensors;
    const of = async (normalizer: 'visible' | number, weight: number, images: number): Promise<number> => {
      const loss = keypointLoss(logits, batch, { normalizer, weight }, images);
      const [value] = await loss.data();
      loss.dispose();
      return value!;
    };
    expect(await of('visible', 1, 1)).toBeCloseTo(sum / 2, 6);
    expect(await of('visible', 3, 2)).toBeCloseTo((3 * sum) / 2, 6);
    expect(await of(10, 1, 2)).toBeCloseTo(sum / 20, 6);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('has the gradient of a softmax, in the learnt heatmaps alone', async () => {
    const batch = keypointBatch(sampled, [sample], 2, 2);
    const gradient = tf.grad((x) => keypointLoss(x as tf.Tensor4D, batch, { normalizer: 'visible', weight: 1 }, 1));
    const dx = gradient(tf.zeros([2, 2, 2, 2]));
    const [a, b] = [0.125, -0.375];
    expect([...(await dx.data())]).toEqual([a, 0, b, 0, a, 0, a, 0, a, 0, a, 0, a, 0, b, 0]);
    dx.dispose();
  });
});
