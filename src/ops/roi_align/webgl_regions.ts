import type { TensorInfo } from '@tensorflow/tfjs-core';
import { CEIL_OF_QUOTIENT, float, int, runFragments, type WebglBackend } from '../kernels/webgl_program.js';
import type { RoiAlignCall } from './kernel_names.js';
import { CANONICAL_BOX_SIZE, CANONICAL_LEVEL, type LevelRange } from './levels.js';

/** Floats of one region's record: level, image, y, x, bin height, bin width, samples y, samples x, row. */
export const FIELDS = 9;

/**
 * Places regions on their maps as `assignLevels` and `regionGeometry` do, on the GPU; its division and root may differ in the last bit.
 * @param rois [R, 5]
 * @returns    [R * 9] as {@link FIELDS} says
 */
export function recordsOnWebgl(
  backend: WebglBackend,
  rois: TensorInfo,
  { shapes, outputSize, spatialScales, samplingRatio, aligned, levels }: RoiAlignCall & { levels: LevelRange },
): TensorInfo {
  const scaleNames = spatialScales.map((_, level) => `scale${level}`);
  return runFragments(backend, {
    code: `${CEIL_OF_QUOTIENT}
  float run(int index) {
    int r = index / ${FIELDS};
    int field = index - r * ${FIELDS};
    if (field == 8) return float(r);
    float image = getRois(5 * r);
    if (field == 1) return image;
    float x0 = getRois(5 * r + 1);
    float y0 = getRois(5 * r + 2);
    float x1 = getRois(5 * r + 3);
    float y1 = getRois(5 * r + 4);
    float area = (x1 - x0) * (y1 - y0);
    // An inverted box is on no map; what is not a number is none either.
    bool known = area >= 0.0 && image >= 0.0 && image < float(images);
    int level = minLevel;
    if (known) {
      // By comparison with the powers of two: the GPU's logarithm is too coarse at them. One last bit is what log2 rounds away.
      float root = sqrt(area) / ${CANONICAL_BOX_SIZE}.0 + 1e-8;
      float least = leastOfSecond;
      while (level < maxLevel && root >= least * 0.99999994) { level++; least *= 2.0; }
    }
    if (field == 0) return float(level - minLevel);
    float scale = ${scaleNames.reduceRight((rest, name, l) => `level == minLevel + ${l} ? ${name} : ${rest}`, '0.0')};
    float shift = aligned == 1 ? 0.5 : 0.0;
    float x = x0 * scale - shift;
    float y = y0 * scale - shift;
    float width = x1 * scale - shift - x;
    float height = y1 * scale - shift - y;
    if (aligned == 0) { width = max(width, 1.0); height = max(height, 1.0); }
    if (!(known && abs(x) < 1e30 && abs(y) < 1e30 && abs(width) < 1e30 && abs(height) < 1e30)) return 0.0;
    if (field == 2) return y;
    if (field == 3) return x;
    if (field == 4) return height / float(outHeight);
    if (field == 5) return width / float(outWidth);
    if (samplingRatio > 0) return float(samplingRatio);
    return field == 6 ? ceilOfQuotient(height, float(outHeight)) : ceilOfQuotient(width, float(outWidth));
  }`,
    inputs: { Rois: rois },
    uniforms: {
      ...Object.fromEntries(spatialScales.map((scale, level) => [scaleNames[level], float(scale)])),
      minLevel: int(levels.minLevel),
      maxLevel: int(levels.maxLevel),
      leastOfSecond: float(2 ** (levels.minLevel + 1 - CANONICAL_LEVEL)),
      images: int(shapes[0][0]),
      outHeight: int(outputSize[0]),
      outWidth: int(outputSize[1]),
      samplingRatio: int(samplingRatio),
      aligned: int(aligned ? 1 : 0),
    },
    output: [rois.shape[0] * FIELDS],
  });
}
