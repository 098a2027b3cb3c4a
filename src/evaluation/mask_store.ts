import type { Rle } from '../data/rle/rle.js';
import { rleToBox } from '../data/rle/rle.js';
import { commonPixels } from '../data/rle/rle_iou.js';

/** Masks kept for many intersections: their runs lie one after the other in one array, so that half a million of them are no objects. */
export class MaskStore {
  /** start0, end0, start1, end1, ... of foreground runs of all masks. */
  private bounds = new Uint32Array(1 << 12);
  private used = 0;
  private readonly from: Int32Array;
  private readonly to: Int32Array;
  private readonly box: Int32Array;
  private readonly size: Int32Array;
  /** Foreground pixels by number. */
  readonly area: Float64Array;

  /** @param count masks are numbered 0 ... count - 1; those that were never set overlap nothing */
  constructor(count: number) {
    this.from = new Int32Array(count);
    this.to = new Int32Array(count);
    this.box = new Int32Array(count * 4);
    this.size = new Int32Array(count * 2);
    this.area = new Float64Array(count);
  }

  /** Keeps a mask under its number; `rle.counts` may be a scratch array that is used again. */
  set(number: number, rle: Rle): void {
    const { counts } = rle;
    const length = counts.length & ~1;
    if (this.used + length > this.bounds.length) {
      const larger = new Uint32Array(Math.max(this.bounds.length * 2, this.used + length));
      larger.set(this.bounds);
      this.bounds = larger;
    }
    const { bounds } = this;
    let at = this.used;
    let position = 0;
    let area = 0;
    this.from[number] = at;
    for (let i = 0; i < length; i += 2) {
      position += counts[i]!;
      bounds[at++] = position;
      position += counts[i + 1]!;
      bounds[at++] = position;
      area += counts[i + 1]!;
    }
    this.used = this.to[number] = at;
    this.area[number] = area;
    this.box.set(rleToBox(rle), number * 4);
    this.size.set(rle.size, number * 2);
  }

  /** The overlap of a detection of this store with a ground truth of another; pycocotools' rules. */
  iou(d: number, truth: MaskStore, g: number, crowd: boolean): number {
    const a = this.box;
    const b = truth.box;
    const left = Math.max(a[d * 4]!, b[g * 4]!);
    const right = Math.min(a[d * 4]! + a[d * 4 + 2]!, b[g * 4]! + b[g * 4 + 2]!);
    if (right <= left) return 0;
    const bottom = Math.min(a[d * 4 + 1]! + a[d * 4 + 3]!, b[g * 4 + 1]! + b[g * 4 + 3]!);
    if (bottom <= Math.max(a[d * 4 + 1]!, b[g * 4 + 1]!)) return 0;
    const height = this.size[d * 2]!;
    if (height !== truth.size[g * 2] || this.size[d * 2 + 1] !== truth.size[g * 2 + 1]) return -1;
    const common = commonPixels(
      this.bounds,
      this.from[d]!,
      this.to[d]!,
      truth.bounds,
      truth.from[g]!,
      truth.to[g]!,
      left * height,
      right * height,
    );
    if (common === 0) return 0;
    return common / (crowd ? this.area[d]! : this.area[d]! + truth.area[g]! - common);
  }
}
