/** (height, width), pixels. */
type Size = readonly [number, number];

/** Where a picture lies that is centred in a padded input: pixels left of it and above it, rounded down. */
export function centredAt([height, width]: Size, [paddedHeight, paddedWidth]: Size): { left: number; top: number } {
  return { left: Math.floor((paddedWidth - width) / 2), top: Math.floor((paddedHeight - height) / 2) };
}

/**
 * Boxes (x0, y0, x1, y1) of a picture's pixels as Matterport normalises them in the padded input: from 0, the middle of the first pixel, to 1, that of the last; the far
 * corner is that of the last pixel inside.
 * @param picture of the picture that is centred in the input
 */
export function toNormalised(boxes: Float32Array, picture: Size, padded: Size): Float32Array<ArrayBuffer> {
  const { left, top } = centredAt(picture, padded);
  return Float32Array.from(boxes, (v, i) => (v + (i % 2 === 0 ? left : top) - (i % 4 < 2 ? 0 : 1)) / (padded[1 - (i % 2)] - 1));
}

/** The other way. */
export function fromNormalised(boxes: Float32Array, picture: Size, padded: Size): Float32Array<ArrayBuffer> {
  const { left, top } = centredAt(picture, padded);
  return Float32Array.from(boxes, (v, i) => v * (padded[1 - (i % 2)] - 1) - (i % 2 === 0 ? left : top) + (i % 4 < 2 ? 0 : 1));
}
