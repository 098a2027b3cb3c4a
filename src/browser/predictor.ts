import type { BackendInfo, Device } from '../backends/device.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import type { LoadedModel } from '../engine/assemble_model.js';
import { PredictorCore, type PredictOptions } from '../engine/predictor_core.js';
import type { Instance, PixelResults, StageMilliseconds } from '../structures/detected_instances.js';
import { ContextLoss } from './devices/context_loss.js';
import { type DeviceStarters, startBackend } from './devices/start_device.js';
import { type ImageInput, readInput } from './image_input.js';
import { loadModel, type LoadModelOptions, type ModelSource } from './load_model.js';
import { Prediction } from './prediction.js';

export interface PredictorOptions extends LoadModelOptions {
  /** Where to compute; `auto` takes the fastest that works in this browser. */
  readonly device?: Device;
  /** Detections need a score above this; the config's `MODEL.ROI_HEADS.SCORE_THRESH_TEST` (0.05) unless given. */
  readonly scoreThreshold?: number;
}

/**
 * Finds the instances in pictures, on the thread that calls it. A page that shall stay smooth takes `PredictorWorker`.
 *
 * @example
 * ```ts
 * const predictor = await Predictor.load('/models/shapes/', { device: 'auto' });
 * const result = await predictor.predict(file);
 * result.draw().paint(canvas);
 * predictor.dispose();
 * ```
 */
export class Predictor extends PredictorCore<ImageInput, Prediction> {
  private readonly loss = new ContextLoss();

  private constructor(model: LoadedModel, backend: BackendInfo) {
    super(model, backend);
  }

  /**
   * Starts the device, fetches and reads the weights and builds the model.
   * @param source the address of a folder with `config.yaml` and `model.safetensors`, or `{ config, weights }`
   * @throws BackendError, ConfigError, CheckpointError
   */
  static async load(source: ModelSource, options: PredictorOptions = {}): Promise<Predictor> {
    return Predictor.loadWith(undefined, source, options);
  }

  /** @internal */
  static async loadWith(
    starters: DeviceStarters | undefined,
    source: ModelSource,
    options: PredictorOptions,
  ): Promise<Predictor> {
    const backend = await startBackend(options.device ?? 'auto', starters);
    const overrides = [...(options.overrides ?? [])];
    if (options.scoreThreshold !== undefined)
      for (const head of ['ROI_HEADS', 'RETINANET']) overrides.push(`MODEL.${head}.SCORE_THRESH_TEST=${options.scoreThreshold}`);
    return new Predictor(await loadModel(source, { ...options, overrides }), backend);
  }

  override dispose(): void {
    this.loss.dispose();
    super.dispose();
  }

  protected override read(input: ImageInput, options: PredictOptions): Promise<Image> {
    return readInput(input, options);
  }

  protected override result(instances: Instance[], image: Image, times: StageMilliseconds, pixels: PixelResults): Prediction {
    return new Prediction(instances, image, times, pixels);
  }

  protected override onDevice<T>(work: () => Promise<T>): Promise<T> {
    return this.loss.guard(() => super.onDevice(work));
  }
}
