/**
 * A mask as torchvision's `paste_masks_in_image` pastes it: a border of zeros around the probabilities, the box grown by as much and its corners
 * cut to whole pixels, the last one included. Pasted with Detectron2's sampling that gives torchvision's pixels: it interpolates at the same places.
 * @param probabilities [M, M]
 * @param box           x0, y0, x1, y1 in pixels of the picture
 * @returns             probabilities [M + 2, M + 2] and the box that they cover
 */
export function padMask(
  probabilities: Float32Array,
  box: readonly [number, number, number, number],
): { probabilities: Float32Array; box: [number, number, number, number] } {
  const size = Math.round(Math.sqrt(probabilities.length));
  const padded = new Float32Array((size + 2) ** 2);
  for (let y = 0; y < size; y++) padded.set(probabilities.subarray(y * size, (y + 1) * size), (y + 1) * (size + 2) + 1);
  const [x0, x1] = grow(box[0], box[2], size);
  const [y0, y1] = grow(box[1], box[3], size);
  return { probabilities: padded, box: [x0, y0, x1, y1] };
}

/** In float32, as torch. */
function grow(start: number, end: number, size: number): [first: number, afterLast: number] {
  const f = Math.fround;
  const half = f(f(f(end - start) * 0.5) * f((size + 2) / size));
  const centre = f(f(end + start) * 0.5);
  const first = Math.trunc(f(centre - half));
  const last = Math.trunc(f(centre + half));
  return [first, first + Math.max(last - first + 1, 1)];
}
