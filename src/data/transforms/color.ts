import { ArgumentError } from '../../errors.js';
import { Transform, type Picture, type Raster, type Samples } from './transform.js';

/** A transform of colours only: nothing moves. */
abstract class ColorTransform extends Transform {
  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    return labels;
  }

  applyCoordinates(points: Float64Array): Float64Array {
    return points.slice();
  }

  override applyRotatedBoxes(boxes: Float64Array): Float64Array {
    return boxes.slice();
  }

  /** Coordinates stay where they are; the colours that were there are not brought back. */
  override inverse(): Transform {
    return this;
  }
}

/** What a picture is blended with: one value, one for each channel, or one for each pixel. */
export type BlendSource = number | readonly number[] | Float32Array;

/** `sourceWeight * source + weight * picture`, cut to 0..255 and truncated for 8-bit pictures: Detectron2's `BlendTransform`. */
export class BlendTransform extends ColorTransform {
  constructor(
    readonly source: BlendSource,
    readonly sourceWeight: number,
    readonly weight: number,
  ) {
    super();
  }

  applyImage(image: Picture): Picture {
    const { source, sourceWeight, weight } = this;
    const { data, channels } = image;
    if (source instanceof Float32Array && source.length !== data.length / channels)
      throw new ArgumentError(`A blend of ${source.length} pixels does not fit a picture of ${data.length / channels}.`);
    if (Array.isArray(source) && source.length !== channels)
      throw new ArgumentError(`A blend of ${source.length} channels does not fit a picture of ${channels}.`);
    const bytes = data instanceof Uint8Array;
    const out = bytes ? new Uint8Array(data.length) : new Float32Array(data.length);
    for (let i = 0, pixel = 0; i < data.length; pixel++)
      for (let c = 0; c < channels; c++, i++) {
        const other = typeof source === 'number' ? source : source instanceof Float32Array ? source[pixel] : source[c];
        const value = sourceWeight * other + weight * data[i];
        out[i] = bytes ? Math.min(Math.max(value, 0), 255) : value;
      }
    return { ...image, data: out };
  }
}

/** Weights of red, green and blue in the eye's brightness. */
const GRAY = [0.299, 0.587, 0.114];

/** The brightness of each pixel of a picture in RGB order, [H * W]. */
export function brightness({ data, channels }: Picture): Float32Array {
  if (channels !== 3) throw new ArgumentError(`Brightness needs three channels, the picture has ${channels}.`);
  const out = new Float32Array(data.length / 3);
  for (let i = 0, s = 0; i < out.length; i++, s += 3) out[i] = GRAY[0] * data[s] + GRAY[1] * data[s + 1] + GRAY[2] * data[s + 2];
  return out;
}

/** Makes a picture gray, with three equal channels: Detectron2's `GrayscaleTransform`. */
export class GrayscaleTransform extends ColorTransform {
  /** @param order of the channels; default RGB */
  constructor(readonly order: 'RGB' | 'BGR' = 'RGB') {
    super();
  }

  applyImage(image: Picture): Picture {
    const gray = brightness(this.order === 'RGB' ? image : reversed(image));
    const bytes = image.data instanceof Uint8Array;
    const out = bytes ? new Uint8Array(image.data.length) : new Float32Array(image.data.length);
    for (let i = 0; i < out.length; i++) out[i] = gray[(i / 3) | 0];
    return { ...image, data: out };
  }
}

/** Channels in the other order. */
export function reversed<T extends Picture>(image: T): T {
  const data = image.data.slice();
  for (let i = 0; i + 2 < data.length; i += 3) [data[i], data[i + 2]] = [data[i + 2], data[i]];
  return { ...image, data };
}
