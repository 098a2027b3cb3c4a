import type { Config } from '../config/schema.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import { resizeBilinearZeros } from '../data/resize/resize_zeros.js';
import { resizeBilinearFloat } from '../data/resize/resize_float.js';
import { resizeBilinear, resizeShortestEdgeShape } from '../data/resize/resize.js';
import { roundHalfEven } from '../data/transforms/rounding.js';
import type { InputImage } from '../structures/image_list.js';
import { swapRedBlue } from './pixel_input.js';

/** Resizes an RGB picture to the size that a model sees at inference, in the channel order of its config. The caller's pixels are left as they are. */
export function networkInput(image: Image, { INPUT, MODEL }: Pick<Config, 'INPUT' | 'MODEL'>): InputImage {
  if (MODEL.CONVENTIONS === 'torchvision') return torchvisionInput(image, INPUT);
  if (MODEL.CONVENTIONS === 'matterport') return matterportInput(image, INPUT);
  const { MIN_SIZE_TEST, MAX_SIZE_TEST, FORMAT } = INPUT;
  const [height, width] =
    MIN_SIZE_TEST > 0
      ? resizeShortestEdgeShape(image.height, image.width, MIN_SIZE_TEST, MAX_SIZE_TEST)
      : [image.height, image.width];
  const isSameSize = height === image.height && width === image.width;
  const data = isSameSize ? image.data : resizeBilinear(image, height, width);
  if (FORMAT === 'RGB') return { data, height, width };
  // A resized copy is ours.
  return { data: swapRedBlue(data, isSameSize ? new Uint8Array(data.length) : data), height, width };
}

/** torchvision's `GeneralizedRCNNTransform`: sizes rounded down, bilinear without antialias, values not rounded. */
function torchvisionInput(image: Image, { MIN_SIZE_TEST, MAX_SIZE_TEST, FORMAT }: Config['INPUT']): InputImage {
  const short = Math.min(image.height, image.width);
  const long = Math.max(image.height, image.width);
  const scale = MIN_SIZE_TEST > 0 ? Math.min(MIN_SIZE_TEST / short, MAX_SIZE_TEST / long) : 1;
  const height = Math.max(1, Math.floor(image.height * scale));
  const width = Math.max(1, Math.floor(image.width * scale));
  const source = FORMAT === 'RGB' ? image.data : swapRedBlue(image.data, new Uint8Array(image.data.length));
  if (height === image.height && width === image.width) return { data: source, height, width };
  const { height: from, width: across } = image;
  const data = resizeBilinearFloat({ data: Float32Array.from(source), height: from, width: across, channels: 3 }, height, width);
  return { data, height, width };
}

/** Matterport's 'square' mode before its padding: enlarged to the least short side, never made smaller for it; made to fit the largest long side. */
function matterportInput(image: Image, { MIN_SIZE_TEST, MAX_SIZE_TEST, FORMAT }: Config['INPUT']): InputImage {
  const long = Math.max(image.height, image.width);
  let scale = Math.max(1, MIN_SIZE_TEST / Math.min(image.height, image.width));
  if (roundHalfEven(long * scale) > MAX_SIZE_TEST) scale = MAX_SIZE_TEST / long;
  const [height, width] = [image.height, image.width].map((side) => Math.max(1, roundHalfEven(side * scale)));
  const source = FORMAT === 'RGB' ? image.data : swapRedBlue(image.data, new Uint8Array(image.data.length));
  const data = scale === 1 ? source : resizeBilinearZeros({ ...image, data: source }, height, width);
  return { data, height, width };
}
