import * as tf from '@tensorflow/tfjs-core';
import { batchedNmsOnDevice, readKept } from '../src/ops/nms/batched_nms.js';
import type { Bench } from './bench.js';
import { randomBoxes, seededRandom } from './random.js';

const COUNT = 4000;
const IOU = 0.7;

/** The RPN's load: boxes that overlap in clusters, distinct scores. From tensors to the indices on the host, on the backend that is asked for. */
export function nms4000(): Bench {
  const random = seededRandom(2);
  const centres = randomBoxes(400, 800, 800, 16, 300, random);
  const boxes = new Float32Array(COUNT * 4);
  for (let i = 0; i < boxes.length; i++) boxes[i] = centres[4 * ((i >> 2) % 400) + (i & 3)]! + (random() - 0.5) * 16;
  const scores = Float32Array.from({ length: COUNT }, () => random());
  return {
    name: 'nms_4000',
    input: `${COUNT} boxes around 400 places, IoU ${IOU}`,
    peers: ['torchvision'],
    inputs: { boxes: { shape: [COUNT, 4], data: boxes }, scores: { shape: [COUNT], data: scores } },
    options: { iou_threshold: IOU },
    async prepare() {
      const inputs = [tf.tensor2d(boxes, [COUNT, 4]), tf.tensor1d(scores)] as const;
      return {
        async run() {
          const kept = batchedNmsOnDevice(...inputs, undefined, { iouThreshold: IOU });
          const { length } = await readKept(kept);
          kept.dispose();
          return { kept: length };
        },
        dispose: () => tf.dispose([...inputs]),
      };
    },
  };
}
