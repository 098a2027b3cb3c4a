/**
 * Mask R-CNN in pure TypeScript: Detectron2's models, weights and numbers on TensorFlow.js.
 *
 * Letters in shapes: N images, H W pixels, C channels, L levels, A anchors per location, R regions, K classes, D detections.
 * Layout is NHWC; boxes are (x0, y0, x1, y1) in pixels.
 *
 * @packageDocumentation
 */
export { readImage, type Image, type ImageFormat, type ReadImageOptions } from './data/image_io/read_image.js';
export {
  loadCocoJson,
  type CocoRecords,
  type DatasetRecord,
  type LoadCocoOptions,
  type RecordAnnotation,
} from './data/coco/dataset_records.js';
export { readCocoDataset, type JsonSource, type ReadCocoOptions } from './data/coco/read_coco.js';
export type {
  CocoAnnotation,
  CocoCategory,
  CocoDataset,
  CocoImage,
  CocoResult as CocoResultEntry,
} from './data/coco/coco_types.js';
export type { CocoRle, CocoSegmentation } from './data/rle/segmentation.js';
export { rleFromString, rleToString, decodeRle, encodeRle, type Rle } from './data/rle/rle.js';
export { InstanceMask, type Cutout } from './structures/masks/lazy_mask.js';
export { type Contour } from './structures/masks/contours.js';
export { type MaskCrop } from './ops/mask_paste/mask_paste.js';
export { Prediction, type BoxXyxy, type CocoResult, type Instance, type StageMilliseconds } from './structures/prediction.js';
export type { Keypoint, PixelResults } from './structures/detected_instances.js';
export type { SemanticMap } from './meta_arch/meta_architecture.js';
export type { PanopticMap, PanopticSegment } from './semantic/combine_panoptic.js';
export { Predictor, type PredictOptions, type PredictorOptions } from './engine/predictor.js';
export { type GivenBox } from './engine/given_boxes.js';
export { type FeatureLevel, ImageFeatures } from './engine/image_features.js';
export { predictTiled, type TiledOptions, type TilePredictor } from './engine/predict_tiled.js';
export { type ImageInput, type RawPixels } from './engine/image_input.js';
export { type LoadModelOptions, type ModelFiles, type ModelSource } from './engine/load_model.js';
export { predictDataset, type BatchPredictor, type PredictDatasetOptions } from './engine/predict_dataset.js';
export { parseShard, type Shard, type ShardEnvironment } from './sharding/shard.js';
export type { PanopticFiles } from './evaluation/panoptic_files.js';
export type { EvaluationOptions, EvaluationParameters, IouType } from './evaluation/evaluation_parameters.js';
export type { EvaluationArrays } from './evaluation/precision_recall.js';
export { CocoEvaluator, type CocoEvaluation, type TaskResults } from './evaluation/coco_evaluator.js';
export {
  Trainer,
  type BatchSource,
  type LossFunction,
  type TrainableModel,
  type TrainerOptions,
  type TrainOutcome,
  type TrainStep,
  type StepSharing,
} from './engine/trainer.js';
export type { Communicator } from './distributed/communicator.js';
export {
  prepareTraining,
  type CocoFiles,
  type TrainingRun,
  type TrainingRunOptions,
  type ValidationFiles,
} from './engine/training_run.js';
export type { Hook } from './engine/hooks/hook.js';
export type { Writer } from './engine/writers/writer.js';
export type { AboutModel } from './engine/training_checkpoint.js';
export type { BatchGradients } from './engine/divergence_guard.js';
export { ScalarLog } from './engine/scalar_log.js';
export type { Optimizer } from './engine/solver/optimizer.js';
export type { HostTensor } from './engine/solver/slots.js';
export { WeightAverage } from './engine/solver/weight_average.js';
export { Random, type RandomState } from './data/random.js';
export type { GroundTruth, MaskAnnotation, TrainingSample } from './structures/training_sample.js';
export { startBackend, type BackendInfo, type ConcreteDevice, type Device } from './backends/select.js';
export { type CheckpointFormat } from './checkpoint/read.js';
export * as modelZoo from './model_zoo/index.js';
export { convertCheckpoint, type ConversionReport, type ConvertOptions } from './checkpoint/convert.js';
export { type LoadReport, type ModelParameter } from './checkpoint/load.js';
export { getConfig, dumpConfig, type Config } from './config/index.js';
export { Drawing, type DrawOptions } from './visualization/drawing.js';
export type { KeypointRule } from './visualization/skeleton.js';
export { Visualizer } from './visualization/visualizer.js';
export * from './errors.js';
