/** Sides of inputs are multiples of this at least, also where the model does not ask for it. */
const LEAST_STEP = 32;

/** A padded input's (height, width). */
export type Bucket = readonly [height: number, width: number];

/**
 * The few sizes that inputs are padded to (at the right and at the bottom, as all padding is) on devices that compile programs for their shapes: the
 * short side as configured, the long side one of three, lying and standing.
 *
 * @param minSize      the shortest edge after resizing
 * @param maxSize      what the longest may not exceed
 * @param divisibility of the model's inputs
 */
export function inputBuckets(minSize: number, maxSize: number, divisibility: number): Bucket[] {
  const step = Math.max(divisibility, LEAST_STEP);
  const up = (size: number): number => Math.ceil(size / step) * step;
  const short = up(Math.min(minSize, maxSize));
  const most = up(Math.max(minSize, maxSize));
  const sides = [...new Set([short, up((short + most) / 2), most])];
  return sides.flatMap((long): Bucket[] => {
    if (long === short) return [[short, short]];
    return [
      [short, long],
      [long, short],
    ];
  });
}

/** The smallest bucket that holds an input; none where it is larger than all. */
export function bucketFor(buckets: readonly Bucket[], height: number, width: number): Bucket | undefined {
  return buckets.find(([h, w]) => h >= height && w >= width);
}
