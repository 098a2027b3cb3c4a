import { ArgumentError } from '../../errors.js';

/** How rotated regions are pooled; the fields of Detectron2's ROIAlignRotated. */
export interface RotatedRoiAlignOptions {
  /** Height and width of a pooled region. */
  outputSize: [number, number];
  /** Multiplies pixels to give map coordinates. */
  spatialScale: number;
  /** Samples per bin and axis; 0 takes ceil(bin size). */
  samplingRatio: number;
}

/** Floats of one region's record: image, centre y and x, height, width, sine, cosine, samples y, samples x. */
export const WORDS = 9;

const f = Math.fround;

/** The records of regions [R, 6], in map coordinates; rounded to float32 where the C++ rounds. */
export function rotatedRecords(
  rois: Float32Array,
  { outputSize, spatialScale, samplingRatio }: RotatedRoiAlignOptions,
): Float32Array {
  const count = rois.length / 6;
  const records = new Float32Array(count * WORDS);
  const scale = f(spatialScale);
  for (let r = 0; r < count; r++) {
    const [image, cx, cy, w, h, degrees] = rois.subarray(6 * r, 6 * r + 6);
    const height = f(h * scale);
    const width = f(w * scale);
    const theta = f((degrees * Math.PI) / 180);
    const finite = [cx, cy, w, h, degrees].every(Number.isFinite);
    const samples = (extent: number, bins: number): number =>
      !finite ? 0 : samplingRatio > 0 ? samplingRatio : Math.max(0, Math.ceil(f(extent / bins)));
    records.set(
      [
        image,
        f(f(cy * scale) - 0.5),
        f(f(cx * scale) - 0.5),
        height,
        width,
        Math.sin(theta),
        Math.cos(theta),
        samples(height, outputSize[0]),
        samples(width, outputSize[1]),
      ],
      r * WORDS,
    );
  }
  return records;
}

/** @throws ArgumentError for a region [R, 6] whose image does not exist */
export function checkImages(rois: Float32Array, images: number): void {
  for (let r = 0; r < rois.length / 6; r++) {
    const image = rois[6 * r];
    if (Number.isInteger(image) && image >= 0 && image < images) continue;
    throw new ArgumentError(`Region ${r} is of image ${image}; the batch has ${images} images, numbered from 0.`);
  }
}

/** Calls `visit(output, input, weight)` for every term of the sums, as offsets of pixels (without channels). */
export function forEachRotatedTerm(
  rois: Float32Array,
  [images, H, W]: number[],
  o: RotatedRoiAlignOptions,
  visit: (output: number, input: number, weight: number) => void,
): void {
  checkImages(rois, images);
  const [outHeight, outWidth] = o.outputSize;
  const records = rotatedRecords(rois, o);
  for (let r = 0; r < rois.length / 6; r++) {
    const [image, centreY, centreX, height, width, sin, cos, samplesY, samplesX] = records.subarray(r * WORDS, (r + 1) * WORDS);
    const [binHeight, binWidth] = [f(height / outHeight), f(width / outWidth)];
    const share = 1 / Math.max(samplesY * samplesX, 1);
    for (let p = 0; p < outHeight; p++) {
      for (let q = 0; q < outWidth; q++) {
        const output = (r * outHeight + p) * outWidth + q;
        for (let i = 0; i < samplesY; i++) {
          const yy = f(f(f(-height / 2) + f(p * binHeight)) + f(f((i + 0.5) * binHeight) / samplesY));
          for (let j = 0; j < samplesX; j++) {
            const xx = f(f(f(-width / 2) + f(q * binWidth)) + f(f((j + 0.5) * binWidth) / samplesX));
            let y = f(f(f(yy * cos) - f(xx * sin)) + centreY);
            let x = f(f(f(yy * sin) + f(xx * cos)) + centreX);
            if (!(y >= -1 && y <= H && x >= -1 && x <= W)) continue;
            y = Math.min(Math.max(y, 0), H - 1);
            x = Math.min(Math.max(x, 0), W - 1);
            const [top, left] = [Math.floor(y), Math.floor(x)];
            const [bottom, right] = [Math.min(top + 1, H - 1), Math.min(left + 1, W - 1)];
            const [fy, fx] = [y - top, x - left];
            const base = image * H;
            visit(output, (base + top) * W + left, (1 - fy) * (1 - fx) * share);
            visit(output, (base + top) * W + right, (1 - fy) * fx * share);
            visit(output, (base + bottom) * W + left, fy * (1 - fx) * share);
            visit(output, (base + bottom) * W + right, fy * fx * share);
          }
        }
      }
    }
  }
}
