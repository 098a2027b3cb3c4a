import type * as tf from '@tensorflow/tfjs-core';
import { Module } from '../layers/module.js';
import { single } from '../layers/norm.js';

/** Feature maps by name, each [N, H / stride, W / stride, C]. */
export type FeatureMaps = Record<string, tf.Tensor4D>;

/** What a backbone gives out: channels and stride by name, finest first. */
export type FeatureShapes = Record<string, { channels: number; stride: number }>;

/** What turns a batch of pictures into feature maps: a ResNet alone, or with a pyramid on it. */
export abstract class Backbone extends Module {
  abstract readonly outShapes: FeatureShapes;
  /** Inputs are padded to a multiple of this; 0 where any size will do. */
  abstract readonly sizeDivisibility: number;
  /** Inputs are padded to a square of this side, such as that of a transformer's position embedding; 0 where any shape will do. */
  readonly squareSize: number = 0;

  /**
   * @param x     [N, H, W, 3], H and W multiples of `sizeDivisibility`
   * @param trace sees the stages of the ResNet
   * @returns     the maps of `outShapes`; the caller disposes of them
   */
  abstract forward(x: tf.Tensor4D, trace?: (name: string, value: tf.Tensor) => void): FeatureMaps;

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    return Object.values(this.forward(single(inputs)));
  }
}
