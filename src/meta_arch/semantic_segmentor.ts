import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { readBack } from '../ops/read_back.js';
import { noDetections } from '../roi_heads/fast_rcnn_inference.js';
import { SemSegHead } from '../semantic/sem_seg_head.js';
import type { SemanticHead } from '../semantic/semantic_head.js';
import { semanticLabels } from '../semantic/semantic_labels.js';
import type { ImageList, InputImage } from '../structures/image_list.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { buildBackbone } from './build_backbone.js';
import {
  type Inference,
  type InferenceOptions,
  MetaArchitecture,
  type MetaArchitectureOptions,
  type SemanticMap,
} from './meta_architecture.js';
import type { BatchLosses, TrainingPass } from './training_pass.js';

export interface SemanticSegmentorOptions extends MetaArchitectureOptions {
  readonly semSegHead: SemanticHead;
}

/** A pyramid with the semantic branch alone (Detectron2's `SemanticSegmentor`): the class of every pixel, no objects. */
export class SemanticSegmentor extends MetaArchitecture {
  constructor(override readonly options: SemanticSegmentorOptions) {
    super(options);
    this.child('sem_seg_head', options.semSegHead);
  }

  static fromConfig(cfg: Config): SemanticSegmentor {
    const backbone = buildBackbone(cfg);
    const semSegHead = SemSegHead.fromConfig(cfg, backbone.outShapes);
    return new SemanticSegmentor({ backbone, semSegHead, pixelMean: cfg.MODEL.PIXEL_MEAN, pixelStd: cfg.MODEL.PIXEL_STD });
  }

  override get isDivisible(): boolean {
    return true;
  }

  override async infer(images: readonly InputImage[], options: InferenceOptions = {}): Promise<Inference> {
    const start = performance.now();
    const list = this.preprocess(images, options);
    const prepared = performance.now();
    const features = tf.tidy(() => this.options.backbone.forward(tf.tensor4d(list.values, list.shape), options.trace));
    try {
      const labels = labelOnDevice(this.options.semSegHead, features, list.imageSizes, options);
      const values = await readBack(labels).finally(() => labels.dispose());
      options.signal?.throwIfAborted();
      const semantic = semanticMaps(values, options.outputSizes ?? list.imageSizes);
      const instances = images.map(() => ({ ...noDetections(), masks: undefined }));
      const times = { preprocess: prepared - start, proposals: 0, heads: performance.now() - prepared };
      return { instances, semantic, times };
    } finally {
      tf.dispose(features);
    }
  }

  override computeLosses(samples: readonly TrainingSample[], pass: TrainingPass): Promise<BatchLosses> {
    const { backbone, semSegHead } = this.options;
    const list = this.preprocess(samples, pass);
    const labels = semSegHead.paddedLabels(samples, [list.shape[1], list.shape[2]]);
    const losses = pass.record(() =>
      tf.tidy(() => semSegHead.computeLosses(backbone.forward(tf.tensor4d(list.values, list.shape)), labels)),
    );
    return Promise.resolve({ losses, counts: { loss_sem_seg: semSegHead.countedPixels(labels) }, metrics: {}, pending: [] });
  }
}

/** The class of every pixel of every picture at its output size, picture after picture, on the device. @returns [total] */
export function labelOnDevice(
  head: SemanticHead,
  features: FeatureMaps,
  imageSizes: ImageList['imageSizes'],
  { trace, outputSizes = imageSizes }: InferenceOptions,
): tf.Tensor1D {
  return tf.tidy(() => {
    const logits = head.forward(features);
    trace?.('sem_seg_logits', logits);
    return semanticLabels(logits, imageSizes, outputSizes);
  });
}

/** What `labelOnDevice` gave, once read, by picture. */
export function semanticMaps(values: ArrayLike<number>, outputSizes: readonly (readonly [number, number])[]): SemanticMap[] {
  const all = Int32Array.from(values);
  let at = 0;
  return outputSizes.map(([height, width]) => {
    const labels = all.subarray(at, (at += height * width));
    return { height, width, labels };
  });
}
