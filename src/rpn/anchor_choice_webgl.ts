import type * as tf from '@tensorflow/tfjs-core';
import { float, int, ORDERED_BITS, runFragments, type Uniform, type WebglBackend } from '../ops/kernels/webgl_program.js';
import type { AnchorGenerator } from './anchor_generator.js';
import type { Box2BoxTransform } from './box_transform.js';

/** Shares in which the logits of a level are counted. */
const SHARES = 256;

/** Values of one digit of a logit's bits. */
const BINS = 16;
const DIGITS = 8;

/** Floats of a level in the table: where its logits begin, how many; where its candidates begin, how many; width, strides and offset of the grid. */
export const LEVEL = 8;

/** What the programs read of the levels and images: one table, for samplers are few. */
export interface Plan {
  table: tf.TensorInfo;
  images: number;
  levels: number;
  /** Logits and candidates of one image. */
  total: number;
  count: number;
  /** With those that {@link BOX_OF} needs. */
  uniforms: Record<'levels' | 'total' | 'count', Uniform>;
  boxUniforms: Record<string, Uniform>;
}

/** The table's fields of a level. */
export const TABLE = `
  int tableAt(int level, int field) { return int(getTable(${LEVEL} * level + field)); }
  int startOf(int level) { return tableAt(level, 0); }
  int lengthOf(int level) { return tableAt(level, 1); }
  int mostOf(int level) { return tableAt(level, 3); }`;

const ORDERED = `${ORDERED_BITS}
  uint ordered(int at) { return orderedBits(getLogits(at)); }`;

/** What is known of a level's k-th largest logit, of `row` = image and level. */
const STATE = `
  uint prefixOf(int row) { return (uint(getState(3 * row)) << 16) | uint(getState(3 * row + 1)); }
  int missingOf(int row) { return int(getState(3 * row + 2)); }`;

/** The logits or deltas of all levels, image after image. */
export function join(backend: WebglBackend, maps: tf.TensorInfo[], images: number): tf.TensorInfo {
  const lengths = maps.map(({ shape }) => shape[1] * shape[2] * shape[3]);
  const total = lengths.reduce((a, b) => a + b, 0);
  return runFragments(backend, {
    code: `
  float run(int index) {
    int image = index / total;
    int at = index - image * total;
    ${maps.map((_, l) => `if (at < length${l}) return getMap${l}(image * length${l} + at);\n    at -= length${l};`).join('\n    ')}
    return 0.0;
  }`,
    inputs: Object.fromEntries(maps.map((map, l) => [`Map${l}`, map])),
    uniforms: { total: int(total), ...Object.fromEntries(lengths.map((length, l) => [`length${l}`, int(length)])) },
    output: [images, total],
  });
}

/**
 * The bits of each level's k-th largest logit and how many of those that equal it are among the k: digit by digit, by counting in shares.
 * @returns [N, L, 3]: upper and lower half of the bits, the count
 */
function kthLargest(backend: WebglBackend, logits: tf.TensorInfo, { table, images, levels, uniforms }: Plan): tf.TensorInfo {
  let state = runFragments(backend, {
    code: `${TABLE}
  float run(int index) { return index % 3 == 2 ? float(mostOf(index / 3 % levels)) : 0.0; }`,
    inputs: { Table: table },
    uniforms: { levels: uniforms.levels },
    output: [images, levels, 3],
  });
  for (let digit = 0; digit < DIGITS; digit++) {
    const shift = int(28 - 4 * digit);
    const shares = runFragments(backend, {
      code: `${TABLE}${ORDERED}${STATE}
  float run(int index) {
    uint bin = uint(index % ${BINS});
    int share = index / ${BINS} % ${SHARES};
    int row = index / ${BINS * SHARES};
    int level = row % levels;
    int first = row / levels * total + startOf(level);
    int stretch = (lengthOf(level) + ${SHARES - 1}) / ${SHARES};
    int end = min((share + 1) * stretch, lengthOf(level));
    uint prefix = prefixOf(row);
    int found = 0;
    for (int i = share * stretch; i < end; i++) {
      uint key = ordered(first + i);
      // Shifting by 32 is not defined: the first digit has no prefix to compare.
      if (shift < 28 && (key >> (shift + 4)) != (prefix >> (shift + 4))) continue;
      if (((key >> shift) & ${BINS - 1}u) == bin) found++;
    }
    return float(found);
  }`,
      inputs: { Table: table, Logits: logits, State: state },
      uniforms: { levels: uniforms.levels, total: uniforms.total, shift },
      output: [images, levels, SHARES, BINS],
    });
    const bins = runFragments(backend, {
      code: `
  float run(int index) {
    int first = index / ${BINS} * ${BINS * SHARES} + index % ${BINS};
    float found = 0.0;
    for (int share = 0; share < ${SHARES}; share++) found += getShares(first + share * ${BINS});
    return found;
  }`,
      inputs: { Shares: shares },
      uniforms: {},
      output: [images, levels, BINS],
    });
    const next = runFragments(backend, {
      code: `${STATE}
  float run(int index) {
    int row = index / 3;
    int left = missingOf(row);
    int bin = ${BINS - 1};
    for (; bin > 0; bin--) {
      int here = int(getBins(row * ${BINS} + bin));
      if (here >= left) break;
      left -= here;
    }
    uint prefix = prefixOf(row) | (uint(bin) << shift);
    int part = index % 3;
    return part == 0 ? float(prefix >> 16) : part == 1 ? float(prefix & 0xffffu) : float(left);
  }`,
      inputs: { State: state, Bins: bins },
      uniforms: { shift },
      output: [images, levels, 3],
    });
    for (const tensor of [state, shares, bins]) backend.disposeIntermediateTensorInfo(tensor);
    state = next;
  }
  return state;
}

/** Each image's candidates: of every level the k largest logits, in order of index; of equal ones the first. @returns [N, C] indices in the level */
export function choose(backend: WebglBackend, logits: tf.TensorInfo, plan: Plan): tf.TensorInfo {
  const { table, images, levels, count, uniforms } = plan;
  const state = kthLargest(backend, logits, plan);
  const shares = runFragments(backend, {
    code: `${TABLE}${ORDERED}${STATE}
  float run(int index) {
    bool above = index % 2 == 0;
    int share = index / 2 % ${SHARES};
    int row = index / ${2 * SHARES};
    int level = row % levels;
    int first = row / levels * total + startOf(level);
    int stretch = (lengthOf(level) + ${SHARES - 1}) / ${SHARES};
    int end = min((share + 1) * stretch, lengthOf(level));
    uint least = prefixOf(row);
    int found = 0;
    for (int i = share * stretch; i < end; i++) {
      uint key = ordered(first + i);
      if (above ? key > least : key == least) found++;
    }
    return float(found);
  }`,
    inputs: { Table: table, Logits: logits, State: state },
    uniforms: { levels: uniforms.levels, total: uniforms.total },
    output: [images, levels, SHARES, 2],
  });
  const chosen = runFragments(backend, {
    code: `${TABLE}${ORDERED}${STATE}
  float run(int index) {
    int image = index / count;
    int slot = index - image * count;
    int level = 0;
    while (level + 1 < levels && slot >= tableAt(level + 1, 2)) level++;
    slot -= tableAt(level, 2);
    int row = image * levels + level;
    int equal = missingOf(row);
    int share = 0;
    for (; share < ${SHARES - 1}; share++) {
      int at = 2 * (row * ${SHARES} + share);
      int same = min(int(getShares(at + 1)), equal);
      int here = int(getShares(at)) + same;
      if (slot < here) break;
      slot -= here;
      equal -= same;
    }
    int first = image * total + startOf(level);
    int stretch = (lengthOf(level) + ${SHARES - 1}) / ${SHARES};
    int end = min((share + 1) * stretch, lengthOf(level));
    uint least = prefixOf(row);
    for (int i = share * stretch; i < end; i++) {
      uint key = ordered(first + i);
      if (key < least) continue;
      if (key == least) { if (equal == 0) continue; equal--; }
      if (slot == 0) return float(i);
      slot--;
    }
    return 0.0;
  }`,
    inputs: { Table: table, Logits: logits, State: state, Shares: shares },
    uniforms,
    output: [images, count],
  });
  for (const tensor of [state, shares]) backend.disposeIntermediateTensorInfo(tensor);
  return chosen;
}

/** `boxOf(image, level, anchor)`: an anchor's box, decoded and not clipped. Needs {@link TABLE}, the input `Deltas` and the plan's uniforms. */
export const BOX_OF = `
  vec4 boxOf(int image, int level, int anchor) {
    int location = anchor / perLocation;
    int cell = cellsAt + 4 * (level * perLocation + anchor - location * perLocation);
    int width = tableAt(level, 4);
    int at = 4 * ((image * total + startOf(level)) / classes + anchor);
    int down = location / width;
    float offset = getTable(${LEVEL} * level + 7);
    vec2 place = (vec2(location - down * width, down) + offset) * vec2(getTable(${LEVEL} * level + 5), getTable(${LEVEL} * level + 6));
    vec2 corner = vec2(getTable(cell), getTable(cell + 1)) + place;
    vec2 size = vec2(getTable(cell + 2), getTable(cell + 3)) + place - corner;
    vec2 centre = corner + 0.5 * size;
    vec2 moved = vec2(getDeltas(at) / wx, getDeltas(at + 1) / wy) * size + centre;
    vec2 scale = min(vec2(getDeltas(at + 2) / ww, getDeltas(at + 3) / wh), vec2(scaleClamp));
    vec2 reach = 0.5 * (exp(scale) * size);
    return vec4(moved - reach, moved + reach);
  }`;

/** How anchors are chosen and decoded. */
export interface PlanOptions {
  readonly anchors: AnchorGenerator;
  readonly transform: Box2BoxTransform;
  /** Of a level at most. */
  readonly topK: number;
  /** Logits of an anchor. */
  readonly classes: number;
  /** (height, width) of each image, for the table. */
  readonly imageSizes: readonly (readonly [number, number])[];
}

/** @param logits of the levels, [N, H, W, A * classes] */
export function planOf(
  backend: WebglBackend,
  logits: tf.TensorInfo[],
  { anchors, transform, topK, classes, imageSizes }: PlanOptions,
): Plan {
  const rows: number[] = [];
  let total = 0;
  let count = 0;
  logits.forEach(({ shape: [, height, width, values] }, level) => {
    const length = height * width * values;
    const k = Math.min(length, topK);
    const { strideX, strideY, offset } = anchors.grid(level);
    rows.push(total, length, count, k, width, strideX, strideY, offset);
    total += length;
    count += k;
  });
  const levels = logits.length;
  const cells = logits.flatMap((_, level) => [...anchors.cellAnchors[level]]);
  const table = Float32Array.from([...rows, ...imageSizes.flat(), ...cells]);
  const [wx, wy, ww, wh] = transform.weights;
  return {
    table: backend.makeTensorInfo([table.length], 'float32', table),
    images: logits[0].shape[0],
    levels,
    total,
    count,
    uniforms: { levels: int(levels), total: int(total), count: int(count) },
    boxUniforms: {
      classes: int(classes),
      perLocation: int(anchors.anchorsPerLocation),
      cellsAt: int(LEVEL * levels + 2 * imageSizes.length),
      wx: float(wx),
      wy: float(wy),
      ww: float(ww),
      wh: float(wh),
      scaleClamp: float(transform.scaleClamp),
    },
  };
}
