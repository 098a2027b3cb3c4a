import * as tf from '@tensorflow/tfjs-core';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import type { InputImage } from '../structures/image_list.js';

/** One map of a backbone. */
export interface FeatureLevel {
  /** `p2` ... of a pyramid, `res4` ... of a ResNet alone. */
  readonly name: string;
  /** Pixels of the network's input from one cell to the next. */
  readonly stride: number;
  /** [1, H, W, C]; cells beyond `inputSize / stride` show the padding; with Matterport's rules it is on all sides. */
  readonly map: tf.Tensor4D;
}

/** What the backbone sees in a picture. Holds tensors: dispose of it. */
export class ImageFeatures {
  constructor(
    /** Finest first. */
    readonly levels: readonly FeatureLevel[],
    /** (height, width) of the picture. */
    readonly imageSize: readonly [number, number],
    /** (height, width) of the picture as the network saw it: resized, without the padding at the right and at the bottom. */
    readonly inputSize: readonly [number, number],
  ) {}

  dispose(): void {
    tf.dispose(this.levels.map(({ map }) => map));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Runs the backbone alone. @param imageSize (height, width) of the picture before resizing */
export function imageFeatures(model: MetaArchitecture, input: InputImage, imageSize: readonly [number, number]): ImageFeatures {
  const { backbone } = model.options;
  const list = model.preprocess([input]);
  const maps = tf.tidy(() => backbone.forward(tf.tensor4d(list.values, list.shape)));
  const levels = Object.entries(backbone.outShapes)
    .map(([name, { stride }]) => ({ name, stride, map: maps[name] }))
    .sort((a, b) => a.stride - b.stride);
  return new ImageFeatures(levels, imageSize, [input.height, input.width]);
}
