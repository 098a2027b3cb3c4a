import * as tf from '@tensorflow/tfjs-core';
import type { Backbone } from '../backbone/backbone.js';
import { Module } from '../layers/module.js';
import type { RawInstances } from '../roi_heads/roi_heads.js';
import type { Trace } from '../rpn/rpn.js';
import { type ImageList, type InputImage, makeImageList } from '../structures/image_list.js';
import type { TrainingSample } from '../structures/training_sample.js';
import type { BatchLosses, TrainableModel, TrainingPass } from './training_pass.js';

export interface MetaArchitectureOptions {
  readonly backbone: Backbone;
  /** Per channel, in the order of the input's channels. */
  readonly pixelMean: readonly number[];
  readonly pixelStd: readonly number[];
}

/** Milliseconds per stage of one inference. */
export interface StageTimes {
  readonly preprocess: number;
  /** Backbone, pyramid, dense head and, in two-stage detectors, the choice of proposals. */
  readonly proposals: number;
  /** Heads on regions and the choice of detections. */
  readonly heads: number;
}

/** The semantic class of every pixel of a picture. */
export interface SemanticMap {
  readonly height: number;
  readonly width: number;
  /** [height, width], row-major. */
  readonly labels: Int32Array;
}

/** What one inference gave: instances per image in the input frame, and how long each stage took. */
export interface Inference {
  readonly instances: RawInstances[];
  /** Models with a semantic branch: a map per image at its output size. */
  readonly semantic?: SemanticMap[];
  readonly times: StageTimes;
}

export interface InferenceOptions {
  /** Sees every intermediate tensor by name. */
  readonly trace?: Trace;
  /** (height, width) per image of what is wanted per pixel; the input's where it is not given. */
  readonly outputSizes?: readonly (readonly [number, number])[];
  /** (height, width) that the padded input has at least: a GPU compiles programs for the sizes of its maps. */
  readonly leastSize?: readonly [number, number];
  /** Detectors with heads on regions: no masks, no keypoints. */
  readonly boxesOnly?: boolean;
  /** Runs every part for every number of regions that it will meet, whatever there is to see. */
  readonly warmUp?: boolean;
  /** Stops between stages. */
  readonly signal?: AbortSignal;
}

/** A whole model: a backbone and what stands on it, from pictures to instances. */
export abstract class MetaArchitecture extends Module implements TrainableModel {
  constructor(readonly options: MetaArchitectureOptions) {
    super();
    this.child('backbone', options.backbone);
  }

  /** Finds instances in resized pictures of any sizes, together. */
  abstract infer(images: readonly InputImage[], options?: InferenceOptions): Promise<Inference>;

  abstract computeLosses(samples: readonly TrainingSample[], pass: TrainingPass): Promise<BatchLosses>;

  /**
   * Whether the pictures of a batch may lie in several processes. Models of one's own say so where each picture draws by its place in the batch
   * (`orderOfImage`) and `computeLosses` gives `counts`.
   */
  get isDivisible(): boolean {
    return false;
  }

  get trainingState(): unknown {
    return undefined;
  }

  /** Sets what `trainingState` gave. */
  restoreTrainingState(_state: unknown): void {}

  /** Models are driven by `infer`, not by `apply`: what they compute depends on values that come back from the device. */
  override call(): tf.Tensor {
    throw new Error(`${this.getClassName()} is not called with tensors alone; use infer().`);
  }

  /** Normalises and pads a batch as the backbone wants it. */
  preprocess(images: readonly InputImage[], { leastSize }: Pick<InferenceOptions, 'leastSize'> = {}): ImageList {
    const { backbone, pixelMean, pixelStd } = this.options;
    const { sizeDivisibility, squareSize } = backbone;
    return makeImageList(images, pixelMean, pixelStd, { sizeDivisibility, squareSize, ...(leastSize ? { leastSize } : {}) });
  }
}

/** Shows host values to a trace as a tensor. */
export function traceArray(trace: Trace, name: string, values: Float32Array | Int32Array, shape: number[]): void {
  const tensor = tf.tensor(values, shape, values instanceof Int32Array ? 'int32' : 'float32');
  trace(name, tensor);
  tensor.dispose();
}

/** Shows instances in the input frame to a trace. */
export function traceInstances(trace: Trace, prefix: string, { boxes, scores, classes, masks, keypoints }: RawInstances): void {
  traceArray(trace, `${prefix}.pred_boxes`, boxes, [scores.length, 4]);
  traceArray(trace, `${prefix}.scores`, scores, [scores.length]);
  traceArray(trace, `${prefix}.pred_classes`, classes, [scores.length]);
  if (masks) traceArray(trace, `${prefix}.pred_masks`, masks.probabilities, [scores.length, 1, masks.size, masks.size]);
  if (keypoints) traceArray(trace, `${prefix}.pred_keypoints`, keypoints.values, [scores.length, keypoints.count, 3]);
}
