import * as tf from '@tensorflow/tfjs-core';
import { MULTILEVEL_ROI_ALIGN_GRAD } from '../src/ops/roi_align/kernel_names.js';
import { roiAlign } from '../src/ops/roi_align/roi_align.js';
import type { Bench } from './bench.js';
import { randomBoxes, seededRandom } from './random.js';

const SIDE = 200;
const CHANNELS = 256;
const ROIS = 1000;
const SCALE = 0.25;
const SHAPE: [number, number, number, number] = [1, SIDE, SIDE, CHANNELS];
const ALIGN = { outputSize: [7, 7] as [number, number], spatialScale: SCALE, samplingRatio: 0, aligned: true };

function inputs(): { features: Float32Array; rois: Float32Array } {
  const random = seededRandom(1);
  const features = Float32Array.from({ length: SIDE * SIDE * CHANNELS }, () => random() - 0.5);
  // Sizes that the pyramid assigns to its finest level: up to 112 pixels, aspect ratios around 1.
  const boxes = randomBoxes(ROIS, SIDE / SCALE, SIDE / SCALE, 16, 160, random);
  const rois = new Float32Array(ROIS * 5);
  for (let i = 0; i < ROIS; i++) rois.set(boxes.subarray(i * 4, i * 4 + 4), i * 5 + 1);
  return { features, rois };
}

/** Waits until the device has computed the tensor, by reading one value of it. */
async function finished(t: tf.Tensor): Promise<void> {
  const one = tf.slice(
    t,
    t.shape.map(() => 0),
    t.shape.map(() => 1),
  );
  await one.data();
  one.dispose();
}

function describe(): Pick<Bench, 'input' | 'peers' | 'inputs' | 'options'> {
  const { features, rois } = inputs();
  return {
    input: `${ROIS} boxes of 16 to 160 px, 7x7x${CHANNELS}, adaptive sampling, map ${SIDE}x${SIDE}`,
    peers: ['torchvision'],
    inputs: { features: { shape: SHAPE, data: features }, rois: { shape: [ROIS, 5], data: rois } },
    options: { scale: SCALE, sampling_ratio: 0 },
  };
}

export function roiAlignForward(): Bench {
  const common = describe();
  return {
    name: 'roi_align_forward',
    ...common,
    async prepare() {
      const features = tf.tensor4d(common.inputs['features']!.data, SHAPE);
      const rois = tf.tensor2d(common.inputs['rois']!.data, [ROIS, 5]);
      return {
        async run() {
          const out = roiAlign(features, rois, ALIGN);
          await finished(out);
          out.dispose();
        },
        dispose: () => tf.dispose([features, rois]),
      };
    },
  };
}

/** The gradient kernel alone, as the peer's backward is: the forward pass is not in the time. */
export function roiAlignBackward(): Bench {
  const common = describe();
  return {
    name: 'roi_align_backward',
    ...common,
    async prepare() {
      const dy = tf.ones([ROIS, ...ALIGN.outputSize, CHANNELS]);
      const rois = tf.tensor2d(common.inputs['rois']!.data, [ROIS, 5]);
      const attributes = {
        outputSize: ALIGN.outputSize,
        spatialScales: [SCALE],
        samplingRatio: ALIGN.samplingRatio,
        aligned: ALIGN.aligned,
        levels: new Int32Array(ROIS),
        shapes: [SHAPE],
      };
      return {
        async run() {
          const gradients = tf
            .engine()
            .runKernel(MULTILEVEL_ROI_ALIGN_GRAD, { dy, rois }, attributes as unknown as tf.NamedAttrMap);
          const [gradient] = [gradients].flat();
          await finished(gradient!);
          tf.dispose(gradients);
        },
        dispose: () => tf.dispose([dy, rois]),
      };
    },
  };
}
