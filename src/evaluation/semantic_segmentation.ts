import { ArgumentError } from '../errors.js';

/** What {@link SemanticSegmentationEvaluator} needs to know. */
export interface SemanticSegmentationOptions {
  classNames: readonly string[];
  /** The ground-truth label that does not count. Default 255. */
  ignoreLabel?: number;
  /** Also count boundary pixels. Default true; needs fewer than 255 classes. */
  boundaries?: boolean;
}

/** Mean IoU and accuracies as Detectron2's `SemSegEvaluator` computes them. */
export class SemanticSegmentationEvaluator {
  /** [C + 1, C + 1]: rows are predictions, columns ground truth; the last of each is the ignored label. */
  readonly confusion: Float64Array;
  /** The same for boundary values (label less eroded label). */
  readonly boundaryConfusion: Float64Array;
  private readonly names: readonly string[];
  private readonly ignore: number;
  private readonly boundaries: boolean;

  constructor(options: SemanticSegmentationOptions) {
    this.names = options.classNames;
    this.ignore = options.ignoreLabel ?? 255;
    this.boundaries = (options.boundaries ?? true) && this.names.length < 255;
    this.confusion = new Float64Array((this.names.length + 1) ** 2);
    this.boundaryConfusion = new Float64Array((this.names.length + 1) ** 2);
  }

  /**
   * Counts one image.
   *
   * @param prediction a class per pixel, by rows
   * @param truth a class or the ignored label per pixel, by rows
   * @throws ArgumentError for maps of another size or labels that are no class
   */
  add(prediction: ArrayLike<number>, truth: ArrayLike<number>, height: number, width: number): void {
    const n = height * width;
    const C = this.names.length;
    if (prediction.length !== n || truth.length !== n)
      throw new ArgumentError(
        `Label maps of ${height} x ${width} need ${n} values; got ${prediction.length} and ${truth.length}.`,
      );
    const found = new Int32Array(n);
    const labels = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      const p = prediction[i]!;
      const t = truth[i]! === this.ignore ? C : truth[i]!;
      if (!(p >= 0 && p < C)) throw new ArgumentError(`Predicted label ${p} at pixel ${i} is not one of the ${C} classes.`);
      if (!(t >= 0 && t <= C))
        throw new ArgumentError(
          `Label ${t} at pixel ${i} is neither one of the ${C} classes nor the ignored label ${this.ignore}.`,
        );
      found[i] = p;
      labels[i] = t;
      this.confusion[p * (C + 1) + t]!++;
    }
    if (!this.boundaries) return;
    const b = boundaryOf(found, height, width);
    const bt = boundaryOf(labels, height, width);
    for (let i = 0; i < n; i++) this.boundaryConfusion[b[i]! * (C + 1) + bt[i]!]!++;
  }

  /** Percentages by Detectron2's names; NaN for classes without ground truth. */
  evaluate(): Record<string, number> {
    const C = this.names.length;
    const main = counts(this.confusion, C);
    const border = counts(this.boundaryConfusion, C);
    const all = main.truth.reduce((a, b) => a + b, 0);
    const accuracy = this.names.map((_, c) => (main.truth[c]! > 0 ? main.hits[c]! / main.truth[c]! : NaN));
    const iou = this.names.map((_, c) => {
      const union = main.truth[c]! + main.found[c]! - main.hits[c]!;
      return main.truth[c]! > 0 && union > 0 ? main.hits[c]! / union : NaN;
    });
    const present = this.names.map((_, c) => c).filter((c) => main.truth[c]! > 0);
    const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
    const out: Record<string, number> = {
      mIoU: (100 * sum(present.map((c) => iou[c]!))) / present.length,
      fwIoU: 100 * sum(present.map((c) => (iou[c]! * main.truth[c]!) / all)),
    };
    this.names.forEach((name, c) => {
      out[`IoU-${name}`] = 100 * iou[c]!;
      if (!this.boundaries) return;
      const union = border.truth[c]! + border.found[c]! - border.hits[c]!;
      const boundary = union > 0 ? border.hits[c]! / union : NaN;
      out[`BoundaryIoU-${name}`] = 100 * boundary;
      // Python's min: the first unless the second is smaller, so that NaN in the first stays.
      out[`min(IoU, B-Iou)-${name}`] = 100 * (boundary < iou[c]! ? boundary : iou[c]!);
    });
    out['mACC'] = (100 * sum(present.map((c) => accuracy[c]!))) / present.length;
    out['pACC'] = (100 * sum([...main.hits])) / all;
    this.names.forEach((name, c) => (out[`ACC-${name}`] = 100 * accuracy[c]!));
    return out;
  }
}

function counts(confusion: Float64Array, C: number) {
  const hits = new Float64Array(C);
  const truth = new Float64Array(C);
  const found = new Float64Array(C);
  for (let p = 0; p < C; p++)
    for (let t = 0; t < C; t++) {
      const v = confusion[p * (C + 1) + t]!;
      if (p === t) hits[p] = v;
      found[p]! += v;
      truth[t]! += v;
    }
  return { hits, truth, found };
}

/** The label less the minimum around it within 2 % of the diagonal; outside the image counts as 0 (Detectron2's `_mask_to_boundary`). */
function boundaryOf(labels: Int32Array, height: number, width: number): Int32Array {
  const reach = Math.max(1, Math.round(0.02 * Math.sqrt(height ** 2 + width ** 2)));
  const rows = slidingMinimum(labels, height, width, width, 1, reach);
  const eroded = slidingMinimum(rows, width, height, 1, width, reach);
  return labels.map((v, i) => v - eroded[i]!);
}

/** The minimum over `2 * reach + 1` neighbours along lines, in three passes (van Herk), with zeros beyond the ends. */
function slidingMinimum(
  values: Int32Array,
  lines: number,
  length: number,
  lineStride: number,
  stride: number,
  reach: number,
): Int32Array {
  const out = new Int32Array(values.length);
  const window = 2 * reach + 1;
  const padded = Math.ceil((length + 2 * reach) / window) * window;
  const line = new Int32Array(padded);
  const forward = new Int32Array(padded);
  const backward = new Int32Array(padded);
  for (let l = 0; l < lines; l++) {
    for (let i = 0; i < length; i++) line[i + reach] = values[l * lineStride + i * stride]!;
    for (let i = 0; i < padded; i++) forward[i] = i % window === 0 ? line[i]! : Math.min(forward[i - 1]!, line[i]!);
    for (let i = padded - 1; i >= 0; i--)
      backward[i] = i % window === window - 1 ? line[i]! : Math.min(backward[i + 1]!, line[i]!);
    for (let i = 0; i < length; i++) out[l * lineStride + i * stride] = Math.min(backward[i]!, forward[i + 2 * reach]!);
  }
  return out;
}
