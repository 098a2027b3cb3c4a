import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseConfig, unsupportedSettings } from '../../src/config/index.js';
import { Random } from '../../src/data/random.js';
import { lossGradients } from '../../src/engine/loss_gradients.js';
import { initializeWeights } from '../../src/layers/weight_init.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import {
  Conv2d,
  keypointHeads,
  maskHeads,
  Module,
  rpnHeads,
  SemanticHead,
  semanticHeads,
  upsampleBilinear,
  type FeatureMaps,
} from '../../src/registry/index.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';
import { SMALLEST_CONFIG } from '../cli/tiny_data.js';
import { givenOrder } from '../given_order.js';
import { useDevice } from '../ops/devices.js';
import '../../src/backends/wasm.js';

/** One 1x1 convolution, enlarged. */
class OneConv extends Module {
  private readonly conv: Conv2d;

  constructor(
    inChannels: number,
    outChannels: number,
    private readonly factor: number,
  ) {
    super();
    this.conv = this.child('only', new Conv2d({ inChannels, outChannels, kernelSize: 1 }));
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => upsampleBilinear(this.conv.forward(x), this.factor));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward((Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D);
  }
}

class OneConvAnchors extends Module {
  private readonly both: Conv2d;

  constructor(
    inChannels: number,
    private readonly anchors: number,
  ) {
    super();
    this.both = this.child('both', new Conv2d({ inChannels, outChannels: 5 * anchors, kernelSize: 1 }));
  }

  forward(x: tf.Tensor4D): { logits: tf.Tensor4D; deltas: tf.Tensor4D } {
    return tf.tidy(() => {
      const [logits, deltas] = tf.split(this.both.forward(x), [this.anchors, 4 * this.anchors], 3) as [tf.Tensor4D, tf.Tensor4D];
      return { logits, deltas };
    });
  }

  override call(): tf.Tensor {
    throw new Error('use forward()');
  }
}

class FinestLevel extends SemanticHead {
  private readonly conv = this.child('only', new Conv2d({ inChannels: 8, outChannels: this.options.numClasses, kernelSize: 1 }));

  override forwardCommon(features: FeatureMaps): tf.Tensor4D {
    return this.conv.forward(features[this.options.inFeatures[0]!]!);
  }
}

const undo: (() => void)[] = [];
beforeAll(async () => {
  await useDevice('wasm');
  undo.push(
    maskHeads.register('OwnMask', (cfg, channels) => new OneConv(channels, cfg.MODEL.ROI_HEADS.NUM_CLASSES, 2)),
    keypointHeads.register(
      'OwnKeypoints',
      (cfg, channels) => new OneConv(channels, cfg.MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS, 4),
    ),
    rpnHeads.register('OwnRpn', (_, channels, anchors) => new OneConvAnchors(channels, anchors)),
    semanticHeads.register('OwnSemantic', (cfg) => new FinestLevel(SemanticHead.optionsFromConfig(cfg))),
  );
});
afterAll(() => undo.forEach((take) => take()));

const sample = (): TrainingSample => {
  const random = new Random(5);
  return {
    ...{ data: Uint8Array.from({ length: 64 * 64 * 3 }, () => random.integer(256)), height: 64, width: 64 },
    ...{ imageId: 1, fileName: 'noise.png' },
    groundTruth: {
      boxes: Float32Array.of(10, 12, 40, 44),
      classes: Int32Array.of(1),
      masks: [{ kind: 'polygons', polygons: [Float64Array.of(10, 12, 40, 12, 40, 44, 10, 44)] }],
      keypoints: Float32Array.of(15, 20, 2, 30, 40, 2),
    },
    semantic: new Uint8Array(64 * 64).fill(1),
  };
};

it('mask, keypoint, RPN and semantic heads of one’s own are named by the config, learn and predict', async () => {
  const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', [
    'MODEL.META_ARCHITECTURE=PanopticFPN',
    'MODEL.ROI_HEADS.NUM_CLASSES=2',
    'MODEL.RPN.HEAD_NAME=OwnRpn',
    'MODEL.ROI_MASK_HEAD.NAME=OwnMask',
    'MODEL.KEYPOINT_ON=True',
    'MODEL.ROI_KEYPOINT_HEAD.NAME=OwnKeypoints',
    'MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS=2',
    'MODEL.SEM_SEG_HEAD.NAME=OwnSemantic',
    'MODEL.SEM_SEG_HEAD.NUM_CLASSES=3',
  ]);
  expect(unsupportedSettings(config)).toEqual([]);
  const model = buildModel(config);
  const random = new Random(3);
  initializeWeights(model.modelParameters(), () => random.next());
  const before = tf.memory().numTensors;
  const { losses, gradients } = await lossGradients(model, [sample()], givenOrder);
  expect(tf.memory().numTensors).toBe(before + gradients.size);
  expect(Object.keys(losses)).toEqual(expect.arrayContaining(['loss_mask', 'loss_keypoint', 'loss_rpn_cls', 'loss_sem_seg']));
  for (const name of [
    'proposal_generator.rpn_head.both.weight',
    'roi_heads.mask_head.only.weight',
    'roi_heads.keypoint_head.only.weight',
    'sem_seg_head.only.weight',
  ]) {
    const values = await gradients.get(name)!.data();
    expect(
      values.some((v) => v !== 0),
      name,
    ).toBe(true);
  }
  tf.dispose([...gradients.values()]);
  const { instances, semantic } = await model.infer([sample()]);
  const [{ masks, keypoints, scores }] = instances as [(typeof instances)[0]];
  expect(masks!.probabilities).toHaveLength(scores.length * masks!.size ** 2);
  expect(keypoints!.values).toHaveLength(scores.length * 2 * 3);
  expect(semantic).toHaveLength(1);
  model.dispose();
});

it('a name that nobody registered is refused with the nearest one', () => {
  expect(() => parseConfig(SMALLEST_CONFIG, 'smallest.yaml', ['MODEL.RPN.HEAD_NAME=StandardRPNHeadd'])).toThrow(
    /MODEL\.RPN\.HEAD_NAME .*StandardRPNHead/,
  );
});
