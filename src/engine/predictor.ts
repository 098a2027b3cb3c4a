import { type Device, startBackend } from '../backends/select.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import type { Instance, PixelResults, StageMilliseconds } from '../structures/detected_instances.js';
import { Prediction } from '../structures/prediction.js';
import { type ImageInput, readInput } from './image_input.js';
import { loadModel, type LoadModelOptions, type ModelSource } from './load_model.js';
import { PredictorCore, type PredictOptions } from './predictor_core.js';

export type { PredictOptions } from './predictor_core.js';

export interface PredictorOptions extends LoadModelOptions {
  /** Where to compute; `auto` takes the fastest that works here. */
  readonly device?: Device;
  /** Detections need a score above this; the config's `MODEL.ROI_HEADS.SCORE_THRESH_TEST` (0.05) unless given. */
  readonly scoreThreshold?: number;
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
export class Predictor extends PredictorCore<ImageInput, Prediction> {
  /**
   * Starts the device, reads the weights (of the zoo: downloads them once) and builds the model.
   * @param source a zoo name, a folder with `config.yaml` and a weight file, or `{ config, weights }`
   * @throws BackendError, ConfigError, CheckpointError, ZooError
   */
  static async load(source: ModelSource, options: PredictorOptions = {}): Promise<Predictor> {
    const backend = await startBackend(options.device ?? 'auto');
    const overrides = [...(options.overrides ?? [])];
    if (options.scoreThreshold !== undefined)
      for (const head of ['ROI_HEADS', 'RETINANET']) overrides.push(`MODEL.${head}.SCORE_THRESH_TEST=${options.scoreThreshold}`);
    return new Predictor(await loadModel(source, { ...options, overrides }), backend);
  }

  protected override read(input: ImageInput, options: PredictOptions): Promise<Image> {
    return readInput(input, options);
  }

  protected override result(instances: Instance[], image: Image, times: StageMilliseconds, pixels: PixelResults): Prediction {
    return new Prediction(instances, image, times, pixels);
  }
}
