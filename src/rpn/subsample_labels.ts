/** The source of random order: `Random` is one; another order, such as the given one, makes sampling repeatable in tests. */
export interface Permutations {
  /** The numbers 0..n-1 in some order. */
  permutation(n: number): Int32Array;
  /** The source for one picture of the batch, where its draws are to be independent of the other pictures'. */
  ofImage?(image: number): Permutations;
}

/** What one picture of a batch draws from. */
export const orderOfImage = (order: Permutations, image: number): Permutations => order.ofImage?.(image) ?? order;

/** Chosen rows: foreground and background, each in the order of the draw. */
export interface SampledRows {
  readonly foreground: Int32Array<ArrayBuffer>;
  readonly background: Int32Array<ArrayBuffer>;
}

/**
 * Draws a fixed number of labelled rows without replacement: at most the given share foreground, the rest background (Detectron2's `subsample_labels`).
 * @param labels     [N]; -1 is never drawn, `background` is background, all else foreground
 * @param count      rows wanted; fewer where there are not enough
 */
export function subsampleLabels(
  labels: ArrayLike<number>,
  count: number,
  positiveFraction: number,
  background: number,
  order: Permutations,
): SampledRows {
  const positive: number[] = [];
  const negative: number[] = [];
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === background) negative.push(i);
    else if (labels[i] !== -1) positive.push(i);
  }
  const foreground = draw(positive, Math.trunc(count * positiveFraction), order);
  return { foreground, background: draw(negative, count - foreground.length, order) };
}

function draw(rows: readonly number[], count: number, order: Permutations): Int32Array<ArrayBuffer> {
  const chosen = order.permutation(rows.length).subarray(0, Math.max(0, count));
  return Int32Array.from(chosen, (i) => rows[i]);
}
