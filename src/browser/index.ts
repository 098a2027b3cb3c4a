/**
 * The library in a browser: nothing of it needs Node, and bundlers bring the worker and the WebAssembly files along.
 *
 * @packageDocumentation
 */
export { Predictor, type PredictorOptions } from './predictor.js';
export { PredictorWorker } from './worker/predictor_worker.js';
export { type DeviceMemory } from './worker/protocol.js';
export { Prediction } from './prediction.js';
export { CanvasDrawing } from './canvas_drawing.js';
export { type DrawableImage, type ImageInput } from './image_input.js';
export { type FileSource, type LoadModelOptions, type ModelFiles, type ModelSource } from './load_model.js';
export { type PredictOptions } from '../engine/predictor_core.js';
export { type GivenBox } from '../engine/given_boxes.js';
export { type FeatureLevel, ImageFeatures } from '../engine/image_features.js';
export { type RawPixels } from '../engine/pixel_input.js';
export {
  type BoxXyxy,
  type CocoResult,
  type Instance,
  type Keypoint,
  type PixelResults,
  type StageMilliseconds,
} from '../structures/detected_instances.js';
export { InstanceMask, type Cutout } from '../structures/masks/lazy_mask.js';
export { type Contour } from '../structures/masks/contours.js';
export { type MaskCrop } from '../ops/mask_paste/mask_paste.js';
export { type Image, type ImageFormat } from '../data/image_io/pixel_formats.js';
export { type DrawOptions } from '../visualization/scene.js';
export { classColor, hexColor, type Rgb } from '../visualization/colors.js';
export { startBackend, releaseBackend, BROWSER_DEVICES, type BrowserDevice } from './devices/start_device.js';
export { type BackendInfo, type ConcreteDevice, type Device } from '../backends/device.js';
export { parseConfig, type LoadedConfig } from '../config/config_text.js';
export { publishedConfigNames } from '../config/published.js';
export { type Config } from '../config/schema.js';
export { type LoadReport, type ModelParameter } from '../checkpoint/load.js';
export * from '../errors.js';
