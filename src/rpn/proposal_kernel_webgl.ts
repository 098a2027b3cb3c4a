import * as tf from '@tensorflow/tfjs-core';
import {
  assertFloat32,
  float,
  int,
  ORDERED_BITS,
  runFragments,
  type Uniform,
  type WebglBackend,
} from '../ops/kernels/webgl_program.js';
import { CANDIDATE, NO_CANDIDATE, suppressOnWebgl } from '../ops/nms/webgl.js';
import { type ProposalAttributes, RPN_PROPOSALS } from './proposal_kernel.js';

/** Shares in which the logits of a level are counted. */
const SHARES = 256;

/** Values of one digit of a logit's bits. */
const BINS = 16;
const DIGITS = 8;

/** Floats of a level in the table: where its logits begin, how many; where its candidates begin, how many; width, strides and offset of the grid. */
const LEVEL = 8;

/** What the programs read of the levels and images: one table, for samplers are few. */
interface Plan {
  table: tf.TensorInfo;
  images: number;
  levels: number;
  /** Logits and candidates of one image. */
  total: number;
  count: number;
  uniforms: Record<'levels' | 'total' | 'count', Uniform>;
}

const TABLE = `
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
function join(backend: WebglBackend, maps: tf.TensorInfo[], images: number): tf.TensorInfo {
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
function choose(backend: WebglBackend, logits: tf.TensorInfo, plan: Plan): tf.TensorInfo {
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

/** Decodes, checks and clips the chosen boxes. @returns [N, C, 6] as `CANDIDATE` says */
function decode(
  backend: WebglBackend,
  [logits, deltas, chosen]: tf.TensorInfo[],
  { table, images, levels, count, uniforms }: Plan,
  { anchors, transform, selection }: ProposalAttributes,
): tf.TensorInfo {
  const [wx, wy, ww, wh] = transform.weights;
  return runFragments(backend, {
    code: `${TABLE}
  bool isFinite1(float v) { return (floatBitsToUint(v) & 0x7f800000u) != 0x7f800000u; }
  float run(int index) {
    int row = index / ${CANDIDATE};
    int part = index - row * ${CANDIDATE};
    int image = row / count;
    int slot = row - image * count;
    int level = 0;
    while (level + 1 < levels && slot >= tableAt(level + 1, 2)) level++;
    if (part == 5) return float(level);
    int anchor = int(getChosen(row));
    int location = anchor / perLocation;
    int cell = cellsAt + 4 * (level * perLocation + anchor - location * perLocation);
    int width = tableAt(level, 4);
    int source = image * total + startOf(level) + anchor;
    int down = location / width;
    float offset = getTable(${LEVEL} * level + 7);
    vec2 place = (vec2(location - down * width, down) + offset) * vec2(getTable(${LEVEL} * level + 5), getTable(${LEVEL} * level + 6));
    vec2 corner = vec2(getTable(cell), getTable(cell + 1)) + place;
    vec2 size = vec2(getTable(cell + 2), getTable(cell + 3)) + place - corner;
    vec2 centre = corner + 0.5 * size;
    vec2 moved = vec2(getDeltas(4 * source) / wx, getDeltas(4 * source + 1) / wy) * size + centre;
    vec2 scale = min(vec2(getDeltas(4 * source + 2) / ww, getDeltas(4 * source + 3) / wh), vec2(scaleClamp));
    vec2 reach = 0.5 * (exp(scale) * size);
    vec4 box = vec4(moved - reach, moved + reach);
    float score = getLogits(source);
    vec2 limit = vec2(getTable(sizesAt + 2 * image + 1), getTable(sizesAt + 2 * image));
    vec4 clipped = clamp(box, vec4(0.0), vec4(limit, limit));
    bool finite = isFinite1(box.x) && isFinite1(box.y) && isFinite1(box.z) && isFinite1(box.w) && isFinite1(score);
    bool good = finite && clipped.z - clipped.x > minBoxSize && clipped.w - clipped.y > minBoxSize;
    if (part == 4) return good ? score : ${NO_CANDIDATE.toExponential()};
    return good ? clipped[part] : 0.0;
  }`,
    inputs: { Table: table, Logits: logits, Deltas: deltas, Chosen: chosen },
    uniforms: {
      ...uniforms,
      perLocation: int(anchors.anchorsPerLocation),
      sizesAt: int(LEVEL * levels),
      cellsAt: int(LEVEL * levels + 2 * images),
      wx: float(wx),
      wy: float(wy),
      ww: float(ww),
      wh: float(wh),
      scaleClamp: float(transform.scaleClamp),
      minBoxSize: float(selection.minBoxSize),
    },
    output: [images, count, CANDIDATE],
  });
}

function planOf(backend: WebglBackend, logits: tf.TensorInfo[], { anchors, selection, imageSizes }: ProposalAttributes): Plan {
  const rows: number[] = [];
  let total = 0;
  let count = 0;
  logits.forEach(({ shape: [, height, width, perLocation] }, level) => {
    const length = height * width * perLocation;
    const k = Math.min(length, selection.preNmsTopK);
    const { strideX, strideY, offset } = anchors.grid(level);
    rows.push(total, length, count, k, width, strideX, strideY, offset);
    total += length;
    count += k;
  });
  const cells = logits.flatMap((_, level) => [...anchors.cellAnchors[level]]);
  const table = Float32Array.from([...rows, ...imageSizes.flat(), ...cells]);
  return {
    table: backend.makeTensorInfo([table.length], 'float32', table),
    images: imageSizes.length,
    levels: logits.length,
    total,
    count,
    uniforms: { levels: int(logits.length), total: int(total), count: int(count) },
  };
}

tf.registerKernel({
  kernelName: RPN_PROPOSALS,
  backendName: 'webgl',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    assertFloat32('The choice of proposals');
    const backend = anyBackend as WebglBackend;
    const attributes = attrs as unknown as ProposalAttributes;
    const { selection, imageSizes } = attributes;
    const [logitMaps, deltaMaps] = ['logits', 'deltas'].map((name) =>
      Array.from({ length: Object.keys(inputs).length / 2 }, (_, level) => inputs[`${name}${level}`] as tf.TensorInfo),
    );
    const plan = planOf(backend, logitMaps, attributes);
    const logits = join(backend, logitMaps, imageSizes.length);
    const deltas = join(backend, deltaMaps, imageSizes.length);
    const chosen = choose(backend, logits, plan);
    const candidates = decode(backend, [logits, deltas, chosen], plan, attributes);
    const proposals = suppressOnWebgl(backend, candidates, selection.nmsThreshold, selection.postNmsTopK);
    for (const tensor of [plan.table, logits, deltas, chosen, candidates]) backend.disposeIntermediateTensorInfo(tensor);
    return proposals;
  },
});
