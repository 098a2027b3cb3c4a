import { ArgumentError } from '../../errors.js';

/** How regions are pooled; the fields of Detectron2's ROIAlign. */
export interface RoiAlignOptions {
  /** Height and width of a pooled region. */
  outputSize: [number, number];
  /** Multiplies box coordinates to give map coordinates, one for every map: 1/4 for a map of stride 4. */
  spatialScales: number[];
  /** Samples per bin and axis; 0 takes ceil(bin size). */
  samplingRatio: number;
  /** True: pixel centres at half integers and no minimum region size (Detectron2's ROIAlignV2). */
  aligned: boolean;
}

/**
 * Regions in the coordinates of their maps, a column for each field; every number rounded to float32 where the C++ rounds.
 * Columns, not an object a region: a thousand objects for every call make the heap grow between collections.
 */
export class RegionGeometry {
  readonly level: Float64Array;
  readonly image: Float64Array;
  readonly y: Float64Array;
  readonly x: Float64Array;
  readonly binHeight: Float64Array;
  readonly binWidth: Float64Array;
  /** Samples per bin; 0 for a region that has none (inverted, or not finite). */
  readonly samplesY: Float64Array;
  readonly samplesX: Float64Array;

  constructor(readonly count: number) {
    const all = new Float64Array(8 * count);
    const column = (k: number): Float64Array => all.subarray(k * count, (k + 1) * count);
    [this.level, this.image, this.y, this.x] = [column(0), column(1), column(2), column(3)];
    [this.binHeight, this.binWidth, this.samplesY, this.samplesX] = [column(4), column(5), column(6), column(7)];
  }
}

const f = Math.fround;

/** Samples along one axis of a bin: the fixed ratio, or as many as the bin has pixels; none where the bin has no finite size. */
function samples(start: number, bin: number, ratio: number): number {
  if (!Number.isFinite(start) || !Number.isFinite(bin)) return 0;
  return ratio > 0 ? ratio : Math.max(0, Math.ceil(bin));
}

/**
 * Places regions on their maps. A negative level is no map: such a region gets no samples (Detectron2's pooler leaves the rows of
 * inverted boxes, whose level is not a number, at 0).
 * @param rois   [R, 5] as (image, x0, y0, x1, y1), image pixels
 * @param levels [R] index of each region's map, one of `shapes` or negative
 * @param shapes of the maps, [N, H, W, C]
 * @throws ArgumentError for a region whose image does not exist
 */
export function regionGeometry(rois: Float32Array, levels: Int32Array, shapes: number[][], o: RoiAlignOptions): RegionGeometry {
  const [outHeight, outWidth] = o.outputSize;
  const offset = o.aligned ? 0.5 : 0;
  const regions = new RegionGeometry(levels.length);
  for (let r = 0; r < levels.length; r++) {
    const unplaced = levels[r] < 0;
    const level = unplaced ? 0 : levels[r];
    const image = rois[5 * r];
    if (!(Number.isInteger(image) && image >= 0 && image < shapes[level][0])) {
      throw new ArgumentError(`Region ${r} is of image ${image}; the batch has ${shapes[level][0]} images, numbered from 0.`);
    }
    const scale = f(o.spatialScales[level]);
    const x = f(f(rois[5 * r + 1] * scale) - offset);
    const y = f(f(rois[5 * r + 2] * scale) - offset);
    let width = f(f(f(rois[5 * r + 3] * scale) - offset) - x);
    let height = f(f(f(rois[5 * r + 4] * scale) - offset) - y);
    if (!o.aligned) {
      width = Math.max(width, 1);
      height = Math.max(height, 1);
    }
    const binHeight = f(height / outHeight);
    const binWidth = f(width / outWidth);
    regions.level[r] = level;
    regions.image[r] = image;
    regions.y[r] = y;
    regions.x[r] = x;
    regions.binHeight[r] = binHeight;
    regions.binWidth[r] = binWidth;
    regions.samplesY[r] = unplaced ? 0 : samples(y, binHeight, o.samplingRatio);
    regions.samplesX[r] = unplaced ? 0 : samples(x, binWidth, o.samplingRatio);
  }
  return regions;
}
