import * as tf from '@tensorflow/tfjs-core';
import type { BackendInfo } from '../backends/device.js';
import type { LoadReport } from '../checkpoint/load.js';
import type { Config } from '../config/schema.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import { compilesPrograms } from '../backends/compiled_programs.js';
import { checkDevice } from '../backends/gpu_health.js';
import { BackendError, ConfigError } from '../errors.js';
import { GeneralizedRcnn } from '../meta_arch/generalized_rcnn.js';
import type { InferenceOptions, MetaArchitecture } from '../meta_arch/meta_architecture.js';
import { postprocess, scaleInstances } from '../meta_arch/postprocess.js';
import { type Instance, instancesOf, type PixelResults, type StageMilliseconds } from '../structures/detected_instances.js';
import type { InputImage } from '../structures/image_list.js';
import type { LoadedModel } from './assemble_model.js';
import { type Bucket, bucketFor, inputBuckets } from './input_buckets.js';
import { type GivenBox, givenDetections } from './given_boxes.js';
import { type ImageFeatures, imageFeatures } from './image_features.js';
import { inferAugmented } from './test_time_augmentation.js';
import { pixelResults } from './pixel_results.js';
import { networkInput } from './network_input.js';
import type { RawPixels } from './pixel_input.js';

export interface PredictOptions {
  /** Stops between stages with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Largest width x height that is decoded. */
  readonly maxPixels?: number;
}

/** What every predictor does, whatever a picture comes from and whatever a result can be drawn on: `I` is a picture, `R` a result. */
export abstract class PredictorCore<I, R> {
  private disposed = false;
  private readonly model: MetaArchitecture;
  readonly config: Config;
  readonly classNames: readonly string[];
  /** By number; empty for models without keypoints. */
  readonly keypointNames: readonly string[];
  /** By semantic class, the first is all things; empty for models without a semantic branch. */
  readonly semanticClassNames: readonly string[];
  /** What became of every tensor of the weight file. */
  readonly loadReport: LoadReport;

  /** @internal */
  constructor(
    { model, config, classNames, keypointNames, semanticClassNames, report }: LoadedModel,
    /** The device that runs, and why faster ones do not. */
    readonly backend: BackendInfo,
  ) {
    model.fold();
    this.model = model;
    this.config = config;
    this.classNames = classNames;
    this.keypointNames = keypointNames;
    this.semanticClassNames = semanticClassNames;
    this.loadReport = report;
  }

  /** Reads a picture as RGB. */
  protected abstract read(input: I | RawPixels, options: PredictOptions): Promise<Image>;

  protected abstract result(instances: Instance[], image: Image, times: StageMilliseconds, pixels: PixelResults): R;

  /** The device that computes. */
  get device(): BackendInfo['device'] {
    return this.backend.device;
  }

  /** @returns the instances of one picture, best first, in the frame of the file */
  async predict(input: I, options?: PredictOptions): Promise<R>;
  /** @returns the instances of several pictures, computed as one batch */
  async predict(input: readonly I[], options?: PredictOptions): Promise<R[]>;
  async predict(input: I | readonly I[], options: PredictOptions = {}): Promise<R | R[]> {
    this.assertUsable();
    if (Array.isArray(input)) return this.predictBatch(input as readonly I[], options);
    return (await this.predictBatch([input as I], options))[0];
  }

  /**
   * Masks, keypoints and classes for boxes that the caller gives, of a person or of another detector (Detectron2's `forward_with_given_boxes`). The
   * boxes come back as they are, in their order: none is moved, dropped or suppressed.
   * @throws ArgumentError for a box without area or beyond the picture, or a class that the model does not have; ConfigError for a model without
   *   heads on regions
   */
  async predictGiven(input: I, given: readonly GivenBox[], options: PredictOptions = {}): Promise<R> {
    this.assertUsable();
    const model = this.twoStage('predictGiven');
    const start = performance.now();
    const image = await this.read(input, options);
    const decoded = performance.now();
    const resized = networkInput(image, this.config);
    const detections = givenDetections(given, image, resized, this.classNames);
    const prepared = performance.now();
    const signal = options.signal ? { signal: options.signal } : {};
    const { instances, times } = await this.onDevice(() =>
      model.inferGiven([resized], [detections], { ...this.padded(resized), ...signal }),
    );
    const { CONVENTIONS } = this.config.MODEL;
    // To the picture's frame by the caller's own numbers: nothing may be clipped or rounded.
    const moved = scaleInstances(instances[0], resized, image);
    const found = { ...moved, boxes: Float32Array.from(given.flatMap(({ box }) => [...box])) };
    const objects = instancesOf(found, image, this.classNames, CONVENTIONS, this.keypointNames);
    const exact = objects.map((object, i) => ({ ...object, box: given[i].box }));
    return this.result(exact, image, { decode: decoded - start, resize: prepared - decoded, ...times }, {});
  }

  /** The backbone's maps of a picture, with names and strides; the caller disposes of them. */
  async features(input: I, options: PredictOptions = {}): Promise<ImageFeatures> {
    this.assertUsable();
    const image = await this.read(input, options);
    options.signal?.throwIfAborted();
    let found: ImageFeatures | undefined;
    try {
      return await this.onDevice(() => {
        found = imageFeatures(this.model, networkInput(image, this.config), [image.height, image.width]);
        return Promise.resolve(found);
      });
    } catch (error) {
      found?.dispose();
      throw error;
    }
  }

  /**
   * Runs on an empty picture, so that the first real one does not pay for compiling and allocating. On a GPU, without a size, on one of each size that
   * inputs are padded to, and with all numbers of regions: a single picture of any size then compiles nothing more.
   */
  async warmUp(size?: { height: number; width: number }): Promise<void> {
    this.assertUsable();
    const buckets = this.buckets();
    if (size || buckets.length === 0) {
      const picture = size ?? { height: 480, width: 640 };
      await this.predictBatch([{ data: new Uint8Array(picture.height * picture.width * 3), ...picture }], {}, true);
      return;
    }
    for (const [height, width] of buckets) {
      const image = { data: new Uint8Array(height * width * 3), height, width };
      await this.onDevice(() => this.model.infer([image], { warmUp: true }));
    }
  }

  /** Frees the weights. Predictions that were made stay usable: they hold no tensors. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.model.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Runs the device's part of whatever a predictor does; subclasses may watch over it.
   * @internal
   */
  protected async onDevice<T>(work: () => Promise<T>): Promise<T> {
    checkDevice(tf.backend());
    try {
      return await work();
    } catch (error) {
      // What fails on a device that is gone says less than the device's own last words.
      checkDevice(tf.backend());
      throw error;
    }
  }

  /** The sizes that inputs are padded to; none where that saves nothing. */
  private buckets(): Bucket[] {
    const { MIN_SIZE_TEST, MAX_SIZE_TEST } = this.config.INPUT;
    // torchvision's anchors depend on the padding, Matterport's inputs are all of one size.
    if (!compilesPrograms() || MIN_SIZE_TEST === 0 || this.config.MODEL.CONVENTIONS !== 'detectron2') return [];
    return inputBuckets(MIN_SIZE_TEST, MAX_SIZE_TEST, this.model.options.backbone.sizeDivisibility);
  }

  private async predictBatch(inputs: readonly (I | RawPixels)[], options: PredictOptions, warmUp = false): Promise<R[]> {
    if (inputs.length === 0) return [];
    const start = performance.now();
    const images: Image[] = [];
    for (const input of inputs) images.push(await this.read(input, options));
    options.signal?.throwIfAborted();
    const decoded = performance.now();
    const resized = images.map((image) => networkInput(image, this.config));
    const prepared = performance.now();
    if (this.config.TEST.AUG.ENABLED && !warmUp) return this.predictAugmented(images, options, decoded - start);
    const largest = (side: 'height' | 'width'): number => Math.max(...resized.map((image) => image[side]));
    const leastSize = bucketFor(this.buckets(), largest('height'), largest('width'));
    const inference: InferenceOptions = {
      warmUp,
      ...(leastSize ? { leastSize } : {}),
      outputSizes: images.map(({ height, width }) => [height, width] as const),
      ...(options.signal ? { signal: options.signal } : {}),
    };
    const { instances, semantic, times } = await this.onDevice(() => this.model.infer(resized, inference));
    const stages: StageMilliseconds = { decode: decoded - start, resize: prepared - decoded, ...times };
    return images.map((image, i) => {
      const { CONVENTIONS } = this.config.MODEL;
      const found = postprocess(instances[i], [resized[i].height, resized[i].width], [image.height, image.width], CONVENTIONS);
      const objects = instancesOf(found, image, this.classNames, CONVENTIONS, this.keypointNames);
      return this.result(objects, image, stages, pixelResults(semantic?.[i], objects, this.config, this.semanticClassNames));
    });
  }

  /** Each picture by itself, at several sizes. */
  private async predictAugmented(images: readonly Image[], { signal }: PredictOptions, decode: number): Promise<R[]> {
    const results: R[] = [];
    for (const image of images) {
      const start = performance.now();
      const model = this.twoStage('TEST.AUG');
      const { instances, times } = await this.onDevice(() =>
        inferAugmented(model, image, this.config, (input) => ({ ...this.padded(input), ...(signal ? { signal } : {}) })),
      );
      const { preprocess, proposals, heads } = times;
      const resize = Math.max(0, performance.now() - start - preprocess - proposals - heads);
      const objects = instancesOf(instances, image, this.classNames, this.config.MODEL.CONVENTIONS, this.keypointNames);
      results.push(this.result(objects, image, { decode, resize, ...times }, {}));
    }
    return results;
  }

  private padded({ height, width }: InputImage): Pick<InferenceOptions, 'leastSize'> {
    const leastSize = bucketFor(this.buckets(), height, width);
    return leastSize ? { leastSize } : {};
  }

  /** @throws ConfigError for a model without heads on regions */
  private twoStage(what: string): GeneralizedRcnn {
    if (this.model instanceof GeneralizedRcnn) return this.model;
    throw new ConfigError(
      `${what} needs a detector with heads on regions; MODEL.META_ARCHITECTURE is ${this.config.MODEL.META_ARCHITECTURE}.`,
    );
  }

  private assertUsable(): void {
    if (this.disposed) throw new BackendError('This predictor was disposed. Load a new one with Predictor.load().');
    if (tf.getBackend() !== this.backend.device) {
      throw new BackendError(
        `This predictor's weights are on '${this.backend.device}', but the active backend is '${tf.getBackend()}'. Call tf.setBackend('${this.backend.device}') first.`,
      );
    }
  }
}
