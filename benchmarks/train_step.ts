import * as tf from '@tensorflow/tfjs-core';
import { getConfig } from '../src/config/index.js';
import { Random } from '../src/data/random.js';
import { lossGradients } from '../src/engine/loss_gradients.js';
import { optimizerFromConfig } from '../src/engine/solver/optimizer.js';
import { initializeWeights } from '../src/layers/weight_init.js';
import { GeneralizedRcnn } from '../src/meta_arch/generalized_rcnn.js';
import type { Bench } from './bench.js';
import { noiseSample } from './noise_sample.js';
import { seededRandom } from './random.js';
import { tame } from './rcnn.js';

const SIDE = 800;
const OBJECTS = 24;

/** One step of training with random weights: losses, gradients, SGD with momentum; stem and res2 frozen. */
export function trainStepR50Fpn800(): Bench {
  const random = seededRandom(4);
  const { data, boxes, masks, sample } = noiseSample(4, SIDE, OBJECTS, 80);
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
