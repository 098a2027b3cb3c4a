import type { MaskAnnotation, TrainingSample } from '../structures/training_sample.js';
import { transformSample } from '../data/mix/transform_sample.js';
import { ResizeTransform } from '../data/transforms/resize_transform.js';
import { ArgumentError } from '../errors.js';
import type { Keypoint } from '../structures/detected_instances.js';
import { drawInstances, type DrawnInstance } from './draw.js';

/** Options of {@link sampleSheet}. */
export interface SampleSheetOptions {
  /** Class names by number. */
  readonly classes: readonly string[];
  /** Names of the keypoints by number, which the lines between them go by; without them only points are drawn. */
  readonly keypointNames?: readonly string[];
  /** Order of the samples' channels. */
  readonly order: 'BGR' | 'RGB';
  /** Pictures in a row; default 4. */
  readonly columns?: number;
  /** Longest side of a picture on the sheet, in pixels; default 400. */
  readonly size?: number;
}

/** Space around a picture on the sheet, in pixels. */
const GAP = 8;

/**
 * Training samples side by side with their objects drawn in, as they go into a model: masks, and keypoints that are labelled. Node only (sharp).
 * @returns a PNG file's bytes
 */
export async function sampleSheet(samples: readonly TrainingSample[], options: SampleSheetOptions): Promise<Uint8Array> {
  const { columns = 4, size = 400 } = options;
  if (samples.length === 0) throw new ArgumentError('A sheet needs at least one sample.');
  if (![columns, size].every((v) => Number.isInteger(v) && v > 0))
    throw new ArgumentError(`A sheet needs columns and a size above 0, not ${columns} and ${size}.`);
  const { default: sharp } = await import('sharp');
  const across = Math.min(columns, samples.length);
  const down = Math.ceil(samples.length / across);
  const cell = size + GAP;
  const tiles = await Promise.all(
    samples.map(async (sample, i) => {
      const shown = fitted(sample, size);
      const input = Buffer.from(await drawSample(shown, options));
      return { input, left: GAP + (i % across) * cell, top: GAP + Math.floor(i / across) * cell };
    }),
  );
  return sharp({ create: { width: GAP + across * cell, height: GAP + down * cell, channels: 3, background: '#ffffff' } })
    .composite(tiles)
    .removeAlpha()
    .png()
    .toBuffer();
}

function fitted(sample: TrainingSample, size: number): TrainingSample {
  const scale = size / Math.max(sample.height, sample.width);
  const [height, width] = [sample.height, sample.width].map((side) => Math.max(1, Math.round(side * scale)));
  return transformSample(sample, new ResizeTransform(sample.height, sample.width, height, width));
}

function drawSample(sample: TrainingSample, { classes, order, keypointNames }: SampleSheetOptions): Promise<Uint8Array> {
  const { height, width, groundTruth: truth } = sample;
  const data = order === 'RGB' ? sample.data : reversed(sample.data);
  const instances = Array.from(truth.classes, (classIndex, i): DrawnInstance => {
    const [x0, y0, x1, y1] = truth.boxes.subarray(i * 4, i * 4 + 4);
    const mask = truth.masks?.[i];
    return {
      box: [x0, y0, x1, y1],
      className: classes[classIndex] ?? String(classIndex),
      classIndex,
      ...(mask ? drawnMask(mask, height, width) : {}),
      ...(truth.keypoints ? { keypoints: drawnKeypoints(truth.keypoints, truth.classes.length, i, keypointNames) } : {}),
    };
  });
  return drawInstances({ data, height, width }, instances);
}

/** Those that the data set labels, hidden ones too. @param values [G, P, 3] as (x, y, visibility) */
function drawnKeypoints(values: Float32Array, objects: number, object: number, names: readonly string[] = []): Keypoint[] {
  const count = values.length / objects / 3;
  return Array.from({ length: count }, (_, k) => {
    const [x, y, visibility] = values.subarray((object * count + k) * 3);
    return { name: names[k] ?? `keypoint ${k}`, x, y, score: visibility > 0 ? 1 : 0 };
  });
}

function drawnMask(mask: MaskAnnotation, height: number, width: number): Partial<DrawnInstance> {
  if (mask.kind === 'polygons') return { polygons: mask.polygons };
  return { bitmap: { x0: 0, y0: 0, x1: width, y1: height, bitmap: mask.bitmap } };
}

function reversed(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    out[i] = data[i + 2];
    out[i + 1] = data[i + 1];
    out[i + 2] = data[i];
  }
  return out;
}
