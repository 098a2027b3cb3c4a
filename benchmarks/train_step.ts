import * as tf from '@tensorflow/tfjs-core';
import { getConfig } from '../src/config/index.js';
import { Random } from '../src/data/random.js';
import { lossGradients } from '../src/engine/loss_gradients.js';
import { optimizerFromConfig } from '../src/engine/solver/optimizer.js';
import { initializeWeights } from '../src/layers/weight_init.js';
import { GeneralizedRcnn } from '../src/meta_arch/generalized_rcnn.js';
import type { TrainingSample } from '../src/structures/training_sample.js';
import type { Bench } from './bench.js';
import { seededRandom } from './random.js';
import { tame } from './rcnn.js';

const SIDE = 800;
const OBJECTS = 24;

/** One step of training with random weights: losses, gradients, SGD with momentum; stem and res2 frozen. */
export function trainStepR50Fpn800(): Bench {
  const random = seededRandom(4);
  const data = Uint8Array.from({ length: SIDE * SIDE * 3 }, () => Math.floor(random() * 256));
  const { boxes, masks } = objects(random);
  return {
    name: 'train_step_r50_fpn_800',
    input: `R-50-FPN, ${SIDE}x${SIDE}, batch 1, ${OBJECTS} objects with masks, 256 anchors and 512 regions drawn, SGD step`,
    peers: ['torchvision'],
    inputs: {
      image: { shape: [SIDE, SIDE, 3], data },
      boxes: { shape: [OBJECTS, 4], data: boxes },
      masks: { shape: [OBJECTS, SIDE, SIDE], data: masks },
    },
    options: {},
    async prepare() {
      const cfg = getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x');
      const model = GeneralizedRcnn.fromConfig(cfg);
      const parameters = model.modelParameters();
      initializeWeights(parameters, random);
      tame(parameters);
      const optimizer = optimizerFromConfig(cfg, parameters);
      const sample = sampleOf(data, boxes, masks);
      const order = new Random(1);
      return {
        async run() {
          const { metrics, gradients } = await lossGradients(model, [sample], order);
          // A rate so small that every step is as hard as the first.
          optimizer.step(gradients, 1e-6);
          tf.dispose([...gradients.values()]);
          // Everything that the step put in the queue is done when a weight can be read.
          await parameters.at(-1)!.variable.data();
          return {
            foreground: metrics['roi_head/num_fg_samples']!,
            tensors: tf.memory().numTensors,
            rss_mb: Math.round(process.memoryUsage().rss / 2 ** 20),
            peak_mb: Math.round(process.resourceUsage().maxRSS / 1024),
          };
        },
        dispose() {
          optimizer.dispose();
          model.dispose();
        },
      };
    },
  };
}

/** Boxes near the shapes of anchors, so that random proposals match them, each with an elliptic mask. */
function objects(random: () => number): { boxes: Float32Array; masks: Uint8Array } {
  const boxes = new Float32Array(OBJECTS * 4);
  const masks = new Uint8Array(OBJECTS * SIDE * SIDE);
  for (let i = 0; i < OBJECTS; i++) {
    const size = [64, 128, 256][i % 3]!;
    const ratio = [0.5, 1, 2][Math.floor(i / 3) % 3]!;
    const width = size / Math.sqrt(ratio);
    const height = size * Math.sqrt(ratio);
    const x = Math.min(Math.floor(random() * (SIDE - width)), SIDE - width);
    const y = Math.min(Math.floor(random() * (SIDE - height)), SIDE - height);
    boxes.set([x, y, x + width, y + height], i * 4);
    for (let v = Math.floor(y); v < y + height; v++)
      for (let u = Math.floor(x); u < x + width; u++)
        if (((u + 0.5 - x) / width - 0.5) ** 2 + ((v + 0.5 - y) / height - 0.5) ** 2 < 0.25) masks[(i * SIDE + v) * SIDE + u] = 1;
  }
  return { boxes, masks };
}

function sampleOf(data: Uint8Array, boxes: Float32Array, masks: Uint8Array): TrainingSample {
  const bitmaps = Array.from({ length: OBJECTS }, (_, i) => masks.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE));
  const groundTruth = {
    boxes,
    classes: Int32Array.from({ length: OBJECTS }, (_, i) => i),
    masks: bitmaps.map((bitmap) => ({ kind: 'bitmap' as const, bitmap })),
  };
  return { data, height: SIDE, width: SIDE, imageId: 1, fileName: 'noise', groundTruth };
}
