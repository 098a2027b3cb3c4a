/** A neck, a head, a loss, a data set format, an augmentation and a hook of one's own, each as small as it gets. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { readImage } from '../../src/data/image_io/read_image.js';
import { BlendTransform, type AugmentationInput, type RandomNumbers, type Transform } from '../../src/data/transforms/index.js';
import type { Hook } from '../../src/engine/hooks/hook.js';
import type { Trainer, TrainOutcome, TrainStep } from '../../src/engine/trainer.js';
import {
  type Augmentation,
  augmentations,
  Backbone,
  backbones,
  boxHeads,
  boxLosses,
  Conv2d,
  DatasetBuilder,
  datasetFormats,
  type FeatureMaps,
  type FeatureShapes,
  Linear,
  Module,
  type RegionHead,
} from '../../src/registry/index.js';
import { MobileBackbone } from './mobile_backbone.js';

/** A neck: every stage gets the same width by a 1x1 convolution, and p6 is p5 at every second pixel; nothing flows from level to level. */
export class PlainNeck extends Backbone {
  readonly outShapes: FeatureShapes = {};
  readonly sizeDivisibility: number;
  private readonly convs: Conv2d[] = [];

  constructor(
    private readonly bottomUp: Backbone,
    channels: number,
    norm: string,
  ) {
    super();
    this.sizeDivisibility = bottomUp.sizeDivisibility;
    for (const [name, { channels: inChannels, stride }] of Object.entries(bottomUp.outShapes)) {
      const level = Math.log2(stride);
      this.convs.push(this.child(name, new Conv2d({ inChannels, outChannels: channels, kernelSize: 1, norm })));
      this.outShapes[`p${level}`] = { channels, stride };
      this.outShapes[`p${level + 1}`] = { channels, stride: stride * 2 };
    }
    this.child('bottom_up', bottomUp);
  }

  forward(x: tf.Tensor4D): FeatureMaps {
    return tf.tidy(() => {
      const stages = Object.values(this.bottomUp.forward(x));
      const maps = this.convs.map((conv, i) => conv.forward(stages[i]));
      maps.push(tf.avgPool(maps[maps.length - 1], 1, 2, 'valid'));
      return Object.fromEntries(Object.keys(this.outShapes).map((name, i) => [name, maps[i]]));
    });
  }
}

/** A box head: the mean over the region, then one layer. */
export class MeanBoxHead extends Module implements RegionHead {
  private readonly fc: Linear;

  constructor(
    inChannels: number,
    readonly outputSize: number,
  ) {
    super();
    this.fc = this.child('fc', new Linear({ inFeatures: inChannels, outFeatures: outputSize, activation: 'relu' }));
  }

  forward(regions: tf.Tensor4D): tf.Tensor2D {
    return tf.tidy(() => this.fc.forward(tf.mean(regions, [1, 2])));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward((Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D);
  }
}

/** A loss: -log of the overlap (Yu et al. 2016). @param predictions [F, 4] @param targets [F, 4] @returns [F] */
export function logIouLoss(predictions: tf.Tensor2D, targets: tf.Tensor2D): tf.Tensor1D {
  return tf.tidy(() => {
    const [px0, py0, px1, py1] = tf.split(predictions, 4, 1);
    const [tx0, ty0, tx1, ty1] = tf.split(targets, 4, 1);
    const width = tf.relu(tf.sub(tf.minimum(px1, tx1), tf.maximum(px0, tx0)));
    const height = tf.relu(tf.sub(tf.minimum(py1, ty1), tf.maximum(py0, ty0)));
    const both = tf.mul(width, height);
    const areas = tf.add(tf.mul(tf.sub(px1, px0), tf.sub(py1, py0)), tf.mul(tf.sub(tx1, tx0), tf.sub(ty1, ty0)));
    const overlap = tf.div(tf.add(both, 1), tf.add(tf.sub(areas, both), 1));
    return tf.reshape(tf.neg(tf.log(overlap)), [-1]);
  });
}

/** An augmentation: mixes the picture with gray by a drawn share. */
export class Fade implements Augmentation {
  constructor(private readonly most: number) {}

  draw(_: AugmentationInput, random: RandomNumbers): Transform {
    const share = random.uniform(0, this.most);
    return new BlendTransform(128, share, 1 - share);
  }
}

/** A hook: remembers the step with the lowest loss and says so at the end. */
export class LowestLoss implements Hook {
  lowest = Infinity;
  iteration = -1;

  constructor(private readonly print: (line: string) => void) {}

  afterStep(_: Trainer, { totalLoss, iteration }: TrainStep): void {
    if (totalLoss < this.lowest) [this.lowest, this.iteration] = [totalLoss, iteration];
  }

  afterTrain(_: Trainer, outcome: TrainOutcome): void {
    this.print(`lowest loss ${this.lowest.toFixed(3)} at iteration ${this.iteration}${outcome.finished ? '' : ', stopped'}`);
  }
}

/** A data set format: lines `PICTURE CLASS x0 y0 x1 y1 x2 y2 ...`, a polygon each. */
async function importLines(path: string, images: string | undefined) {
  const builder = new DatasetBuilder();
  const ids = new Map<string, number>();
  for (const [i, line] of (await readFile(path, 'utf8')).trim().split('\n').entries()) {
    const [picture, name, ...numbers] = line.split(/\s+/);
    if (!ids.has(picture)) {
      const { width, height } = await readImage(join(images ?? '.', picture), { format: 'RGB' });
      ids.set(picture, builder.addImage(picture, width, height));
    }
    builder.addPolygons(ids.get(picture)!, name, [numbers.map(Number)], `${path}:${i + 1}`);
  }
  return builder.finish();
}

/** Makes all names known; the returned function takes them back. */
export function registerParts(): () => void {
  const undo = [
    backbones.register('build_mobile_plain_backbone', (cfg) => {
      const { STEM_OUT_CHANNELS: stemChannels, RES2_OUT_CHANNELS: channels, NORM: norm } = cfg.MODEL.RESNETS;
      return new PlainNeck(new MobileBackbone({ stemChannels, channels, norm }), cfg.MODEL.FPN.OUT_CHANNELS, norm);
    }),
    boxHeads.register('MeanBoxHead', (cfg, inChannels) => new MeanBoxHead(inChannels, cfg.MODEL.ROI_BOX_HEAD.FC_DIM)),
    boxLosses.register('log_iou', logIouLoss),
    augmentations.register('Fade', Fade),
    datasetFormats.register('lines', importLines),
  ];
  return () => undo.forEach((take) => take());
}
