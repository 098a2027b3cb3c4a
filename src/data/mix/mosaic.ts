import { ArgumentError } from '../../errors.js';
import type { TrainingSample } from '../../structures/training_sample.js';
import type { RandomNumbers } from '../transforms/augmentation.js';
import { CropTransform } from '../transforms/crop.js';
import { PadTransform } from '../transforms/pad.js';
import { joinTruths, transformSample } from './transform_sample.js';

/** Gray of the places that no picture covers, as in Detectron2's paddings. */
const EMPTY = 128;

/**
 * Four samples around a drawn point, each cut to its quarter (Bochkovskiy et al. 2020, YOLOv4): more objects, and smaller context, in a picture.
 *
 * @param samples upper left, upper right, lower left, lower right; the first one names the result
 * @param size of the result, in pixels
 */
export function mosaic(
  samples: readonly TrainingSample[],
  size: { readonly height: number; readonly width: number },
  random: RandomNumbers,
): TrainingSample {
  if (samples.length !== 4) throw new ArgumentError(`A mosaic is made of four samples, not ${samples.length}.`);
  const { height, width } = size;
  const x = Math.round(random.uniform(0.25, 0.75) * width);
  const y = Math.round(random.uniform(0.25, 0.75) * height);
  const data = new Uint8Array(height * width * 3).fill(EMPTY);
  const truths = samples.map((sample, quarter) => {
    const atRight = quarter % 2 === 1;
    const below = quarter >= 2;
    const w = Math.min(sample.width, atRight ? width - x : x);
    const h = Math.min(sample.height, below ? height - y : y);
    // Each picture touches the point with the corner that faces it.
    const cut = transformSample(sample, new CropTransform(atRight ? 0 : sample.width - w, below ? 0 : sample.height - h, w, h));
    const left = atRight ? x : x - w;
    const top = below ? y : y - h;
    for (let row = 0; row < h; row++)
      data.set(cut.data.subarray(row * w * 3, (row + 1) * w * 3), ((top + row) * width + left) * 3);
    const pad = new PadTransform({ left, top, right: width - left - w, bottom: height - top - h });
    return transformSample(cut, pad).groundTruth;
  });
  const { imageId, fileName } = samples[0];
  return { data, height, width, imageId, fileName, groundTruth: joinTruths(truths) };
}
