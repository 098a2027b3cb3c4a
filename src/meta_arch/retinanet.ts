import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { readBack } from '../ops/read_back.js';
import type { Detections } from '../roi_heads/fast_rcnn_inference.js';
import { softNmsFromConfig } from '../roi_heads/suppress_detections.js';
import { AnchorGenerator } from '../rpn/anchor_generator.js';
import { Box2BoxTransform } from '../rpn/box_transform.js';
import type { InputImage } from '../structures/image_list.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { buildBackbone } from './build_backbone.js';
import {
  type Inference,
  type InferenceOptions,
  MetaArchitecture,
  type MetaArchitectureOptions,
  traceArray,
  traceInstances,
} from './meta_architecture.js';
import { RetinaNetHead } from './retinanet_head.js';
import { denseCandidates, hasDenseKernel } from './dense_kernel.js';
import { type DenseSelection, detectionsOfCandidates, retinaNetInference } from './retinanet_inference.js';
import './dense_kernel_webgl.js';
import './dense_kernel_webgpu.js';
import { classifyAnchors, denseLosses, type DenseTrainingOptions, denseTrainingFromConfig } from './retinanet_training.js';
import type { BatchLosses, TrainingPass } from './training_pass.js';

export interface RetinaNetOptions extends MetaArchitectureOptions {
  readonly head: RetinaNetHead;
  /** Maps that the head reads, finest first. */
  readonly inFeatures: readonly string[];
  readonly anchorGenerator: AnchorGenerator;
  readonly transform: Box2BoxTransform;
  readonly numClasses: number;
  readonly selection: DenseSelection;
  readonly training: DenseTrainingOptions;
}

/** Where the running mean of foreground anchors begins, and how much of it stays at a step; as in Detectron2. */
const FIRST_NORMALIZER = 100;
const NORMALIZER_MOMENTUM = 0.9;

/** Class logits and box deltas of all levels, finest first. */
export type DenseOutputs = { logits: tf.Tensor4D[]; deltas: tf.Tensor4D[] };

/** A one-stage detector (Lin et al. 2017b; Detectron2's `RetinaNet`): classes and boxes at every anchor of a pyramid. */
export class RetinaNet extends MetaArchitecture {
  private lossNormalizer = FIRST_NORMALIZER;

  constructor(override readonly options: RetinaNetOptions) {
    super(options);
    this.child('head', options.head);
  }

  static fromConfig(cfg: Config): RetinaNet {
    const retina = cfg.MODEL.RETINANET;
    const backbone = buildBackbone(cfg);
    const shapes = retina.IN_FEATURES.map((name) => {
      const shape = backbone.outShapes[name];
      if (shape) return shape;
      const given = Object.keys(backbone.outShapes).join(', ');
      throw new ConfigError(`MODEL.RETINANET.IN_FEATURES names ${name}; the backbone gives ${given}.`);
    });
    const strides = shapes.map(({ stride }) => stride);
    const anchorGenerator = AnchorGenerator.fromConfig(cfg, strides);
    return new RetinaNet({
      backbone,
      pixelMean: cfg.MODEL.PIXEL_MEAN,
      pixelStd: cfg.MODEL.PIXEL_STD,
      head: new RetinaNetHead({
        inChannels: shapes[0].channels,
        numClasses: retina.NUM_CLASSES,
        anchorsPerLocation: anchorGenerator.anchorsPerLocation,
        numConvs: retina.NUM_CONVS,
        priorProbability: retina.PRIOR_PROB,
      }),
      inFeatures: retina.IN_FEATURES,
      anchorGenerator,
      transform: new Box2BoxTransform(retina.BBOX_REG_WEIGHTS),
      numClasses: retina.NUM_CLASSES,
      selection: {
        scoreThreshold: retina.SCORE_THRESH_TEST,
        topKCandidates: retina.TOPK_CANDIDATES_TEST,
        nmsThreshold: retina.NMS_THRESH_TEST,
        topK: cfg.TEST.DETECTIONS_PER_IMAGE,
        softNms: softNmsFromConfig(cfg),
      },
      training: denseTrainingFromConfig(cfg),
    });
  }

  override async infer(images: readonly InputImage[], options: InferenceOptions = {}): Promise<Inference> {
    const { trace, signal } = options;
    const start = performance.now();
    const list = this.preprocess(images, options);
    const prepared = performance.now();
    const dense = tf.tidy(() => {
      const input = tf.tensor4d(list.values, list.shape);
      trace?.('images', input);
      const features = this.options.backbone.forward(input, trace);
      const outputs = this.forward(features);
      if (trace) this.traceMaps(features, outputs, trace);
      return outputs;
    });
    const { flat, select } = this.wanted(dense, images.length);
    tf.dispose([dense.logits, dense.deltas]);
    const values = await readBack(flat).finally(() => flat.dispose());
    signal?.throwIfAborted();
    const computed = performance.now();
    const instances = images.map((_, image) => ({ ...select(values, image), masks: undefined }));
    if (trace) instances.forEach((found, i) => traceInstances(trace, `raw.${i}`, found));
    const times = { preprocess: prepared - start, proposals: computed - prepared, heads: performance.now() - computed };
    return { instances, times };
  }

  /** The losses are divided by a running mean of the foreground anchors, which a training step moves before use. */
  override computeLosses(samples: readonly TrainingSample[], pass: TrainingPass): Promise<BatchLosses> {
    const { anchorGenerator, numClasses, transform, training } = this.options;
    const list = this.preprocess(samples, pass);
    const outputs = pass.record(() =>
      tf.tidy(() => this.forward(this.options.backbone.forward(tf.tensor4d(list.values, list.shape)))),
    );
    try {
      const anchors = anchorGenerator.levels(outputs.logits.map(({ shape }) => ({ height: shape[1], width: shape[2] })));
      const classified = samples.map(({ groundTruth }) => classifyAnchors(anchors, groundTruth, training.matcher, numClasses));
      classified.forEach(({ labels, foreground, targets }, i) => {
        pass.trace?.(`anchor_labels.${i}`, labels, [labels.length]);
        pass.trace?.(`anchor_fg_index.${i}`, foreground, [foreground.length]);
        pass.trace?.(`anchor_fg_gt_boxes.${i}`, targets, [foreground.length, 4]);
      });
      const foreground = classified.reduce((sum, image) => sum + image.foreground.length, 0);
      const { parts, sum } = pass.whole ?? { parts: 1, sum: (own: number) => own };
      if (!pass.measuresOnly)
        this.lossNormalizer =
          this.lossNormalizer * NORMALIZER_MOMENTUM + Math.max(sum(foreground), 1) * (1 - NORMALIZER_MOMENTUM);
      // The losses of equal parts are put together as a mean; these are a part of a sum.
      const normalizer = this.lossNormalizer / parts;
      const losses = pass.record(() => denseLosses(outputs, anchors, classified, transform, numClasses, training, normalizer));
      const metrics = { num_pos_anchors: foreground / samples.length, loss_normalizer: this.lossNormalizer };
      return Promise.resolve({ losses, metrics, pending: [] });
    } finally {
      tf.dispose([outputs.logits, outputs.deltas]);
    }
  }

  /** The running mean that the losses are divided by. */
  override get isDivisible(): boolean {
    return true;
  }

  override get trainingState(): { readonly lossNormalizer: number } {
    return { lossNormalizer: this.lossNormalizer };
  }

  override restoreTrainingState(state: unknown): void {
    const { lossNormalizer } = state as { lossNormalizer?: unknown };
    if (typeof lossNormalizer === 'number') this.lossNormalizer = lossNormalizer;
  }

  /** @param features maps by name, each [N, H, W, C] @returns logits [N, H, W, A * K] and deltas [N, H, W, A * 4] per level */
  forward(features: FeatureMaps): DenseOutputs {
    return tf.tidy(() => {
      const outputs = this.options.inFeatures.map((name) => this.options.head.forward(features[name]));
      return { logits: outputs.map(({ logits }) => logits), deltas: outputs.map(({ deltas }) => deltas) };
    });
  }

  /** What is to be read of the outputs: the device's own choice of candidates, or all of them; and how detections are made of it. */
  private wanted(dense: DenseOutputs, batch: number): { readonly flat: tf.Tensor; readonly select: SelectDetections } {
    const { anchorGenerator: anchors, transform, numClasses, selection } = this.options;
    if (hasDenseKernel(dense.logits)) {
      const attributes = { anchors, transform, numClasses, topK: selection.topKCandidates };
      return {
        flat: denseCandidates(dense.logits, dense.deltas, attributes),
        select: (values, image) => detectionsOfCandidates(partOf(values, image, batch), selection),
      };
    }
    const maps = [...dense.logits, ...dense.deltas];
    const shapes = maps.map(({ shape }) => shape);
    return {
      flat: tf.tidy(() => tf.concat(maps.map((map) => tf.reshape(map, [batch, -1])), 1)), // prettier-ignore
      select: (values, image) => this.select(partOf(values, image, batch), shapes),
    };
  }

  /** One image's detections, out of its values: all levels' logits, then all levels' deltas. */
  private select(values: Float32Array, shapes: readonly (readonly number[])[]): Detections {
    const { anchorGenerator, transform, numClasses, selection } = this.options;
    let at = 0;
    const parts = shapes.map(([, height, width, depth]) => values.subarray(at, (at += height * width * depth)));
    const count = shapes.length / 2;
    const levels = shapes.slice(0, count).map(([, height, width]) => ({ height, width }));
    const [logits, deltas] = [parts.slice(0, count), parts.slice(count)];
    return retinaNetInference(logits, deltas, levels, anchorGenerator, transform, numClasses, selection);
  }

  private traceMaps(
    features: FeatureMaps,
    { logits, deltas }: DenseOutputs,
    trace: NonNullable<InferenceOptions['trace']>,
  ): void {
    for (const [name, map] of Object.entries(features)) trace(`features.${name}`, map);
    logits.forEach((map, level) => {
      trace(`retina.logits.${level}`, map);
      trace(`retina.deltas.${level}`, deltas[level]);
      const anchors = this.options.anchorGenerator.level(level, map.shape[1], map.shape[2]);
      traceArray(trace, `anchors.${level}`, anchors, [anchors.length / 4, 4]);
    });
  }
}

/** Makes one image's detections from the values that were read for the batch. */
type SelectDetections = (values: Float32Array, image: number) => Detections;

/** One image's values among those of a batch. */
function partOf(values: Float32Array, image: number, batch: number): Float32Array {
  const length = values.length / batch;
  return values.subarray(image * length, (image + 1) * length);
}
