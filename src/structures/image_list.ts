import { ArgumentError } from '../errors.js';

/** A picture as the network takes it: interleaved, in the channel order of the config. */
export interface InputImage {
  /** [H, W, 3], 0..255; as floats where the resize does not round. */
  readonly data: Uint8Array | Float32Array;
  readonly height: number;
  readonly width: number;
}

/** Several pictures as one float32 array, padded at right and bottom. */
export interface ImageList {
  /** [N, H, W, 3] */
  readonly values: Float32Array<ArrayBuffer>;
  readonly shape: [number, number, number, number];
  /** (height, width) of each picture before padding. */
  readonly imageSizes: [number, number][];
}

/** How large a batch is padded. */
export interface PaddingOptions {
  /** Height and width are rounded up to a multiple of this; 0 or 1: no rounding. */
  readonly sizeDivisibility: number;
  /** (height, width) that the batch has at least, before rounding. */
  readonly leastSize?: readonly [number, number];
  /** Height and width of the batch before rounding, whatever the pictures' sizes, which it must hold; 0: the largest picture's. */
  readonly squareSize?: number;
}

/**
 * Normalises ((x - mean) / std, no division by 255), then pads with zeros to the batch's maximum, or a square, rounded up
 * (Detectron2's `preprocess_image` and `ImageList.from_tensors`).
 * @throws ArgumentError for no pictures, one with another number of values than its size says, or one that is larger than the square
 */
export function makeImageList(
  images: readonly InputImage[],
  mean: readonly number[],
  std: readonly number[],
  { sizeDivisibility, leastSize = [0, 0], squareSize = 0 }: PaddingOptions,
): ImageList {
  if (images.length === 0) throw new ArgumentError('There are no images; expected at least one.');
  const round = (n: number): number => (sizeDivisibility > 1 ? Math.ceil(n / sizeDivisibility) * sizeDivisibility : n);
  const largest = [Math.max(...images.map((image) => image.height)), Math.max(...images.map((image) => image.width))] as const;
  if (squareSize > 0 && Math.max(...largest) > squareSize)
    throw new ArgumentError(
      `A picture of ${largest[0]}x${largest[1]} pixels (the largest height and width) does not fit the backbone's square of ${squareSize}; ` +
        'lower INPUT.MAX_SIZE_TEST, or in training MAX_SIZE_TRAIN.',
    );
  const height = round(squareSize || Math.max(leastSize[0], largest[0]));
  const width = round(squareSize || Math.max(leastSize[1], largest[1]));
  const values = new Float32Array(images.length * height * width * 3);
  const tables = mean.map((m, c) =>
    Float32Array.from({ length: 256 }, (_, v) => Math.fround(v - Math.fround(m)) / Math.fround(std[c])),
  );
  const [table0, table1, table2] = tables;
  images.forEach((image, n) => {
    if (image.data.length !== image.height * image.width * 3) {
      throw new ArgumentError(
        `An image of ${image.height}x${image.width} has ${image.data.length} bytes; expected ${image.height * image.width * 3} (three channels).`,
      );
    }
    if (image.data instanceof Float32Array) {
      normaliseFloats(image as InputImage & { data: Float32Array }, mean, std, values, n * height * width * 3, width);
      return;
    }
    let from = 0;
    for (let y = 0; y < image.height; y++) {
      let to = ((n * height + y) * width) * 3; // prettier-ignore
      for (let x = 0; x < image.width; x++, from += 3, to += 3) {
        values[to] = table0[image.data[from]];
        values[to + 1] = table1[image.data[from + 1]];
        values[to + 2] = table2[image.data[from + 2]];
      }
    }
  });
  return { values, shape: [images.length, height, width, 3], imageSizes: images.map((image) => [image.height, image.width]) };
}

function normaliseFloats(
  { data, height, width }: { data: Float32Array; height: number; width: number },
  mean: readonly number[],
  std: readonly number[],
  values: Float32Array,
  at: number,
  paddedWidth: number,
): void {
  for (let y = 0, from = 0; y < height; y++)
    for (let x = 0, to = at + y * paddedWidth * 3; x < width; x++)
      for (let c = 0; c < 3; c++) values[to++] = (data[from++] - mean[c]) / std[c];
}
