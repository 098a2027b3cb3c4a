/** How well anchors fit boxes. */
export interface AnchorCoverage {
  /** Sides of the square anchors, pixels of the input. */
  sizes: number[];
  /** Height to width. */
  ratios: number[];
  /** Share of boxes whose best anchor shape has an IoU of at least 0.5 (0.7) with them, centred on each other. */
  at50: number;
  at70: number;
  /** Mean of the best IoU. */
  mean: number;
}

interface Box {
  width: number;
  height: number;
}

/** Compares shapes alone: where an anchor stands depends on the stride, which is small against it. */
export function anchorCoverage(boxes: readonly Box[], sizes: readonly number[], ratios: readonly number[]): AnchorCoverage {
  const anchors = sizes.flatMap((s) => ratios.map((r) => ({ width: s / Math.sqrt(r), height: s * Math.sqrt(r) })));
  let [at50, at70, sum] = [0, 0, 0];
  for (const box of boxes) {
    let best = 0;
    for (const a of anchors) {
      const common = Math.min(a.width, box.width) * Math.min(a.height, box.height);
      best = Math.max(best, common / (a.width * a.height + box.width * box.height - common));
    }
    if (best >= 0.5) at50++;
    if (best >= 0.7) at70++;
    sum += best;
  }
  const n = Math.max(1, boxes.length);
  return { sizes: [...sizes], ratios: [...ratios], at50: at50 / n, at70: at70 / n, mean: sum / n };
}

/**
 * As many sizes as there are now, spread evenly (in octaves) over the boxes from the 5th to the 95th percentile, and the ratios at the 10th, 50th and
 * 90th; the anchors that are there stay where that does not cover two in a hundred boxes more.
 */
export function suggestAnchors(boxes: readonly Box[], now: AnchorCoverage): AnchorCoverage {
  if (boxes.length < 20) return now;
  const sides = boxes.map((b) => Math.sqrt(b.width * b.height)).sort((a, b) => a - b);
  const shapes = boxes.map((b) => b.height / b.width).sort((a, b) => a - b);
  const at = (sorted: number[], share: number): number => sorted[Math.round(share * (sorted.length - 1))]!;
  const [low, high] = [at(sides, 0.05), at(sides, 0.95)];
  const n = now.sizes.length;
  // Small sizes to the pixel, others to four.
  const round = (v: number): number => (v < 32 ? Math.max(1, Math.round(v)) : Math.round(v / 4) * 4);
  const sizes = now.sizes.map((_, i) => round(low * (high / low) ** ((i + 0.5) / n)));
  const spread = [0.1, 0.5, 0.9].map((share) => Math.round(at(shapes, share) * 10) / 10 || 0.1);
  const candidates = [
    anchorCoverage(boxes, unique(sizes), now.ratios),
    anchorCoverage(boxes, now.sizes, unique(spread)),
    anchorCoverage(boxes, unique(sizes), unique(spread)),
  ].filter((c) => c.sizes.length === n);
  const best = candidates.reduce((a, b) => (b.at50 > a.at50 ? b : a), now);
  return best.at50 > now.at50 + 0.02 ? best : now;
}

const unique = (values: number[]): number[] => [...new Set(values)];
