import type * as tf from '@tensorflow/tfjs-core';
import { isDeterministic } from '../determinism.js';
import { assertFloat32, hostValues, type WebglBackend } from '../kernels/webgl_program.js';
import { regionGeometry, type RegionGeometry } from './geometry.js';
import { registerRoiAlign, type RoiAlignAttributes, type RoiAlignCall } from './kernel_names.js';
import { FIELDS, recordsOnWebgl } from './webgl_regions.js';

// One sample along one axis: (low, high) pixels and the weight of the high one; negative where it lies outside.
const SAMPLE = `
  vec3 sampleAt(float start, float bin, int b, int i, int count, int size) {
    float v = (start + float(b) * bin) + ((float(i) + 0.5) * bin) / float(count);
    if (!(v >= -1.0 && v <= float(size))) return vec3(-1.0);
    v = max(v, 0.0);
    float low = floor(v);
    if (low >= float(size - 1)) return vec3(float(size - 1), float(size - 1), 0.0);
    return vec3(low, low + 1.0, v - low);
  }`;

/** Each level has a sampler of its own, and samplers cannot be indexed: a chain of conditions picks one. */
function forwardCode(levels: number): string {
  const pick = Array.from(
    { length: levels },
    (_, level) => `if (level == ${level}) { height = heights${level}; width = widths${level}; }`,
  ).join('\n      ');
  const read = Array.from({ length: levels }, (_, level) => `if (level == ${level}) return getX${level}(b, y, x, c);`).join(
    '\n    ',
  );
  return `${SAMPLE}
  float readMap(int level, int b, int y, int x, int c) {
    ${read}
    return 0.0;
  }
  void main() {
    ivec4 coords = getOutputCoords();
    int r = coords.x;
    int level = int(getRecords(r * 9 + 0));
    int b = int(getRecords(r * 9 + 1));
    int countY = int(getRecords(r * 9 + 6));
    int countX = int(getRecords(r * 9 + 7));
    float sum = 0.0;
    if (countY > 0 && countX > 0) {
      float startY = getRecords(r * 9 + 2);
      float startX = getRecords(r * 9 + 3);
      float binHeight = getRecords(r * 9 + 4);
      float binWidth = getRecords(r * 9 + 5);
      int height = 0;
      int width = 0;
      ${pick}
      for (int i = 0; i < countY; i++) {
        vec3 y = sampleAt(startY, binHeight, coords.y, i, countY, height);
        if (y.x < 0.0) continue;
        for (int j = 0; j < countX; j++) {
          vec3 x = sampleAt(startX, binWidth, coords.z, j, countX, width);
          if (x.x < 0.0) continue;
          float top = (1.0 - x.z) * readMap(level, b, int(y.x), int(x.x), coords.w) + x.z * readMap(level, b, int(y.x), int(x.y), coords.w);
          float bottom = (1.0 - x.z) * readMap(level, b, int(y.y), int(x.x), coords.w) + x.z * readMap(level, b, int(y.y), int(x.y), coords.w);
          sum += (1.0 - y.z) * top + y.z * bottom;
        }
      }
      sum /= float(countY * countX);
    }
    setOutput(sum);
  }`;
}

// Fragments cannot scatter: every pixel of the gradient gathers from the bins of the regions that reach it, in their order, so that
// equal calls give equal bits. `inOrder` adds every term on its own, in torchvision's order: its sums of hundreds of terms carry the roundings of that order.
const BACKWARD = `${SAMPLE}
  // A stretch may be negative (an inverted region); border pixels also take what lies beyond them.
  bool outside(float start, float stretch, int size, float pixel) {
    if (pixel == 0.0 || pixel == float(size - 1)) return false;
    return pixel < min(start, start + stretch) - 1.0 || pixel > max(start, start + stretch) + 1.0;
  }
  float weightAt(float start, float bin, int b, int count, int size, float pixel) {
    // Samples of a bin lie inside it; one pixel around them is reached.
    if (outside(start + float(b) * bin, bin, size, pixel)) return 0.0;
    float sum = 0.0;
    for (int i = 0; i < count; i++) {
      vec3 s = sampleAt(start, bin, b, i, count, size);
      if (s.x < 0.0) continue;
      if (s.x == pixel) sum += 1.0 - s.z;
      if (s.y == pixel) sum += s.z;
    }
    return sum / float(count);
  }
  void main() {
    ivec4 coords = getOutputCoords();
    float py = float(coords.y);
    float px = float(coords.z);
    float sum = 0.0;
    for (int k = firstRegion; k < lastRegion; k++) {
      if (int(getRecords(k * 9 + 1)) != coords.x) continue;
      int countY = int(getRecords(k * 9 + 6));
      int countX = int(getRecords(k * 9 + 7));
      if (countY <= 0 || countX <= 0) continue;
      float startY = getRecords(k * 9 + 2);
      float binHeight = getRecords(k * 9 + 4);
      if (outside(startY, float(outHeight) * binHeight, mapHeight, py)) continue;
      float startX = getRecords(k * 9 + 3);
      float binWidth = getRecords(k * 9 + 5);
      if (outside(startX, float(outWidth) * binWidth, mapWidth, px)) continue;
      int r = int(getRecords(k * 9 + 8));
      for (int p = 0; p < outHeight; p++) {
        float wy = weightAt(startY, binHeight, p, countY, mapHeight, py);
        if (wy == 0.0) continue;
        for (int q = 0; q < outWidth; q++) {
          if (inOrder == 1) {
            float g = getDy(r, p, q, coords.w);
            float share = 1.0 / float(countY * countX);
            for (int i = 0; i < countY; i++) {
              vec3 y = sampleAt(startY, binHeight, p, i, countY, mapHeight);
              if (y.x < 0.0 || (y.x != py && y.y != py)) continue;
              for (int j = 0; j < countX; j++) {
                vec3 x = sampleAt(startX, binWidth, q, j, countX, mapWidth);
                if (x.x < 0.0) continue;
                if (y.x == py && x.x == px) sum += g * ((1.0 - y.z) * (1.0 - x.z) * share);
                if (y.x == py && x.y == px) sum += g * ((1.0 - y.z) * x.z * share);
                if (y.y == py && x.x == px) sum += g * (y.z * (1.0 - x.z) * share);
                if (y.y == py && x.y == px) sum += g * (y.z * x.z * share);
              }
            }
            continue;
          }
          float wx = weightAt(startX, binWidth, q, countX, mapWidth, px);
          if (wx != 0.0) sum += wy * wx * getDy(r, p, q, coords.w);
        }
      }
    }
    setOutput(sum);
  }`;

/** Places regions on the host, where every step rounds as Detectron2's does; freshly made `rois` have not left the host yet. */
function place(backend: WebglBackend, rois: tf.TensorInfo, { levels, shapes, ...options }: RoiAlignAttributes): RegionGeometry {
  return regionGeometry(backend.readSync(rois.dataId) as Float32Array, levels, shapes, options);
}

function makeRecords(backend: WebglBackend, regions: RegionGeometry, order: number[]): tf.TensorInfo {
  const records = new Float32Array(regions.count * FIELDS);
  order.forEach((row, k) => {
    const { level, image, y, x, binHeight, binWidth, samplesY, samplesX } = regions;
    records.set([level[row], image[row]], k * FIELDS);
    if (samplesY[row] > 0 && samplesX[row] > 0)
      records.set([y[row], x[row], binHeight[row], binWidth[row], samplesY[row], samplesX[row]], k * FIELDS + 2);
    records[k * FIELDS + 8] = row;
  });
  return backend.makeTensorInfo([records.length], 'float32', records);
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** @param records as {@link FIELDS} says, in the order of the rows; disposed of */
function pool(
  backend: WebglBackend,
  maps: tf.TensorInfo[],
  records: tf.TensorInfo,
  { shapes, outputSize }: RoiAlignCall,
): tf.TensorInfo {
  const out = backend.runWebGLProgram(
    {
      variableNames: ['Records', ...maps.map((_, level) => `X${level}`)],
      outputShape: [size(records.shape) / FIELDS, ...outputSize, shapes[0][3]],
      userCode: forwardCode(maps.length),
      enableShapeUniforms: true,
      customUniforms: maps.flatMap((_, level) => [
        { name: `heights${level}`, type: 'int' as const },
        { name: `widths${level}`, type: 'int' as const },
      ]),
    },
    [records, ...maps],
    'float32',
    shapes.flatMap(([, height, width]) => [[height], [width]]),
  );
  backend.disposeIntermediateTensorInfo(records);
  return out;
}

registerRoiAlign<WebglBackend>('webgl', {
  forwardOnDevice(backend, maps, rois, call) {
    const { levels, shapes } = call;
    if (levels instanceof Int32Array || rois.shape[0] === 0 || shapes[0][3] === 0 || hostValues(backend, rois)) return undefined;
    assertFloat32('RoIAlign');
    return pool(backend, maps, recordsOnWebgl(backend, rois, { ...call, levels }), call);
  },

  forward(backend, maps, rois, attributes) {
    assertFloat32('RoIAlign');
    const { levels, shapes, outputSize } = attributes;
    const shape = [levels.length, ...outputSize, shapes[0][3]];
    if (shape.includes(0)) return backend.makeTensorInfo(shape, 'float32', new Float32Array(0));
    return pool(backend, maps, makeRecords(backend, place(backend, rois, attributes), [...levels.keys()]), attributes);
  },

  backward(backend, dy, rois, attributes) {
    assertFloat32('RoIAlign');
    const { shapes, outputSize, samplingRatio } = attributes;
    const inOrder = isDeterministic() && samplingRatio > 0 ? 1 : 0;
    if (size(dy.shape) === 0) {
      return shapes.map((shape) => backend.makeTensorInfo(shape, 'float32', new Float32Array(size(shape))));
    }
    const regions = place(backend, rois, attributes);
    const order = [...attributes.levels.keys()].sort((a, b) => regions.level[a] - regions.level[b] || a - b);
    const records = makeRecords(backend, regions, order);
    const gradients = shapes.map((shape, level) => {
      const first = order.findIndex((r) => regions.level[r] === level);
      const count = order.filter((r) => regions.level[r] === level).length;
      return backend.runWebGLProgram(
        {
          variableNames: ['Records', 'Dy'],
          outputShape: shape,
          userCode: BACKWARD,
          enableShapeUniforms: true,
          customUniforms: ['firstRegion', 'lastRegion', 'mapHeight', 'mapWidth', 'outHeight', 'outWidth', 'inOrder'].map(
            (name) => ({
              name,
              type: 'int' as const,
            }),
          ),
        },
        [records, dy],
        'float32',
        [[first], [first + count], [shape[1]], [shape[2]], [outputSize[0]], [outputSize[1]], [inOrder]],
      );
    });
    backend.disposeIntermediateTensorInfo(records);
    return gradients;
  },
});
