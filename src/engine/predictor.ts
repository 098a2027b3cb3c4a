import * as tf from '@tensorflow/tfjs-core';
import { type BackendInfo, type Device, startBackend } from '../backends/select.js';
import type { Config } from '../config/index.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import { resizeBilinear, resizeShortestEdgeShape } from '../data/resize/resize.js';
import type { LoadReport } from '../checkpoint/load.js';
import { BackendError } from '../errors.js';
import type { ProposalNetwork } from '../meta_arch/proposal_network.js';
import { postprocess } from '../meta_arch/postprocess.js';
import type { InputImage } from '../structures/image_list.js';
import { Prediction, type StageMilliseconds } from '../structures/prediction.js';
import { type ImageInput, readInput, swapRedBlue } from './image_input.js';
import { loadModel, type LoadModelOptions, type ModelSource } from './load_model.js';

export interface PredictorOptions extends LoadModelOptions {
  /** Where to compute; `auto` takes the fastest that works here. */
  readonly device?: Device;
  /** Detections need a score above this; the config's `MODEL.ROI_HEADS.SCORE_THRESH_TEST` (0.05) unless given. */
  readonly scoreThreshold?: number;
}

export interface PredictOptions {
  /** Stops between stages with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Largest width x height that is decoded. */
  readonly maxPixels?: number;
}

/**
 * Finds the instances in pictures.
 *
 * @example
 * ```ts
 * const predictor = await Predictor.load('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', { device: 'auto' });
 * const result = await predictor.predict('street.jpg');
 * for (const instance of result) console.log(instance.className, instance.score, instance.box);
 * predictor.dispose();
 * ```
 */
export class Predictor {
  private disposed = false;

  private constructor(
    private readonly model: ProposalNetwork,
    readonly config: Config,
    readonly classNames: readonly string[],
    /** The device that runs, and why faster ones do not. */
    readonly backend: BackendInfo,
    /** What became of every tensor of the weight file. */
    readonly loadReport: LoadReport,
  ) {}

  /**
   * Starts the device, reads the weights (of the zoo: downloads them once) and builds the model.
   * @param source a zoo name, a folder with `config.yaml` and a weight file, or `{ config, weights }`
   * @throws BackendError, ConfigError, CheckpointError, ZooError
   */
  static async load(source: ModelSource, options: PredictorOptions = {}): Promise<Predictor> {
    const backend = await startBackend(options.device ?? 'auto');
    const overrides = [...(options.overrides ?? [])];
    if (options.scoreThreshold !== undefined) overrides.push(`MODEL.ROI_HEADS.SCORE_THRESH_TEST=${options.scoreThreshold}`);
    const { model, config, classNames, report } = await loadModel(source, { ...options, overrides });
    model.fold();
    return new Predictor(model, config, classNames, backend, report);
  }

  /** The device that computes. */
  get device(): BackendInfo['device'] {
    return this.backend.device;
  }

  /** @returns the instances of one picture, best first, in the frame of the file */
  async predict(input: ImageInput, options?: PredictOptions): Promise<Prediction>;
  /** @returns the instances of several pictures, computed as one batch */
  async predict(input: readonly ImageInput[], options?: PredictOptions): Promise<Prediction[]>;
  async predict(input: ImageInput | readonly ImageInput[], options: PredictOptions = {}): Promise<Prediction | Prediction[]> {
    this.assertUsable();
    if (Array.isArray(input)) return this.predictBatch(input as readonly ImageInput[], options);
    return (await this.predictBatch([input as ImageInput], options))[0];
  }

  /** Runs once on an empty picture, so that the first real one does not pay for compiling and allocating. */
  async warmUp(size: { height: number; width: number } = { height: 480, width: 640 }): Promise<void> {
    await this.predict({ data: new Uint8Array(size.height * size.width * 3), ...size });
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

  private async predictBatch(inputs: readonly ImageInput[], options: PredictOptions): Promise<Prediction[]> {
    if (inputs.length === 0) return [];
    const start = performance.now();
    const images: Image[] = [];
    for (const input of inputs) images.push(await readInput(input, options));
    options.signal?.throwIfAborted();
    const decoded = performance.now();
    const resized = images.map((image) => this.resize(image));
    const prepared = performance.now();
    const { instances, times } = await this.model.infer(resized, options.signal ? { signal: options.signal } : {});
    const stages: StageMilliseconds = { decode: decoded - start, resize: prepared - decoded, ...times };
    return images.map((image, i) => {
      const found = postprocess(instances[i], [resized[i].height, resized[i].width], [image.height, image.width]);
      return Prediction.fromDetections(found, image, this.classNames, stages);
    });
  }

  private resize(image: Image): InputImage {
    const { MIN_SIZE_TEST, MAX_SIZE_TEST, FORMAT } = this.config.INPUT;
    const [height, width] =
      MIN_SIZE_TEST > 0
        ? resizeShortestEdgeShape(image.height, image.width, MIN_SIZE_TEST, MAX_SIZE_TEST)
        : [image.height, image.width];
    const data = height === image.height && width === image.width ? image.data : resizeBilinear(image, height, width);
    return { data: FORMAT === 'RGB' ? data : swapRedBlue(data), height, width };
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
