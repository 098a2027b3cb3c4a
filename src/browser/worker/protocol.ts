import type { BackendInfo } from '../../backends/device.js';
import type { LoadReport } from '../../checkpoint/load.js';
import type { Config } from '../../config/schema.js';
import type { Image } from '../../data/image_io/pixel_formats.js';
import type { GivenBox } from '../../engine/given_boxes.js';
import * as errors from '../../errors.js';
import { InstanceMask } from '../../structures/masks/lazy_mask.js';
import type { DetectedInstances, Instance, PixelResults, StageMilliseconds } from '../../structures/detected_instances.js';
import type { ImageInput } from '../image_input.js';
import type { ModelSource } from '../load_model.js';
import type { PredictorOptions } from '../predictor.js';

/** What the page asks of the worker. Every request but `abort` is answered under its number. */
export type Request =
  | { id: number; kind: 'load'; source: ModelSource; options: Omit<PredictorOptions, 'onProgress' | 'signal'> }
  | { id: number; kind: 'predict'; inputs: readonly ImageInput[]; maxPixels: number | undefined }
  | { id: number; kind: 'predict given'; input: ImageInput; given: readonly GivenBox[]; maxPixels: number | undefined }
  | { id: number; kind: 'warm up'; size: { height: number; width: number } | undefined }
  | { id: number; kind: 'memory' }
  | { id: number; kind: 'abort' };

/** A picture's instances in a form that crosses threads. */
export interface PlainPrediction {
  image: Image;
  times: StageMilliseconds;
  pixels: PixelResults;
  classNames: string[];
  classIndices: number[];
  scores: number[];
  boxes: Instance['box'][];
  /** [D, M, M], or none. */
  masks: { size: number; probabilities: Float32Array; boxes: number[][] } | undefined;
  keypoints: Instance['keypoints'][];
}

/** What a worker's device holds. */
export interface DeviceMemory {
  numTensors: number;
  numBytes: number;
}

/** What is told of a model that was loaded. */
export interface LoadedInfo {
  backend: BackendInfo;
  config: Config;
  classNames: readonly string[];
  keypointNames: readonly string[];
  semanticClassNames: readonly string[];
  loadReport: LoadReport;
}

export type Answer =
  | { id: number; kind: 'progress'; received: number; total: number | undefined }
  | { id: number; kind: 'loaded'; info: LoadedInfo }
  | { id: number; kind: 'predicted'; predictions: PlainPrediction[] }
  | { id: number; kind: 'warm' }
  | { id: number; kind: 'memory'; memory: DeviceMemory }
  | { id: number; kind: 'failed'; name: string; message: string };

/** A result without its methods; the arrays are to be transferred. */
export function toPlain({ instances, image, times, pixels }: DetectedInstances): PlainPrediction {
  const size = instances[0]?.mask?.size ?? 0;
  // The things of a panoptic map are the instances: they cross once.
  const { things: _, ...maps } = pixels;
  const probabilities = new Float32Array(instances.length * size * size);
  instances.forEach(({ mask }, i) => mask && probabilities.set(mask.probabilities, i * size * size));
  return {
    image,
    times,
    pixels: maps,
    classNames: instances.map(({ className }) => className),
    classIndices: instances.map(({ classIndex }) => classIndex),
    scores: instances.map(({ score }) => score),
    boxes: instances.map(({ box }) => box),
    masks: size > 0 ? { size, probabilities, boxes: instances.map(({ mask }) => Array.from(mask!.box)) } : undefined,
    keypoints: instances.map(({ keypoints }) => keypoints),
  };
}

/** The instances again. */
export function fromPlain({ image, classNames, classIndices, scores, boxes, masks, keypoints }: PlainPrediction): Instance[] {
  return scores.map((score, i) => ({
    className: classNames[i],
    classIndex: classIndices[i],
    score,
    box: boxes[i],
    ...(keypoints[i] ? { keypoints: keypoints[i] } : {}),
    mask:
      masks &&
      new InstanceMask(
        masks.probabilities.subarray(i * masks.size ** 2, (i + 1) * masks.size ** 2),
        masks.boxes[i],
        image.height,
        image.width,
      ),
  }));
}

/** An error of the worker as one of this side, of the same class. */
export function revive(name: string, message: string): Error {
  const known = (errors as unknown as Record<string, (new (message: string) => Error) | undefined>)[name];
  if (known) return new known(message);
  if (name === 'AbortError') return new DOMException(message, name);
  return Object.assign(new Error(message), { name });
}
