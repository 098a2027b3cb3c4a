import * as tf from '@tensorflow/tfjs-core';
import { Random } from '../../src/data/random.js';
import { dilatedConv2d } from '../../src/layers/dilated_conv2d.js';
import { groupNorm } from '../../src/layers/group_norm_op.js';
import { groupedConv2d } from '../../src/layers/grouped_conv2d.js';
import { upsampleBilinear } from '../../src/layers/upsample_bilinear.js';
import { upsampleNearest2x } from '../../src/layers/upsample_nearest.js';
import { DEFORM_COLUMNS } from '../../src/ops/deform_conv/columns.js';
import { deformConv2d } from '../../src/ops/deform_conv/deform_conv.js';
import { Arena } from '../../src/ops/kernels/arena.js';
import type { WasmBackend } from '../../src/ops/kernels/wasm_heap.js';
import { pasteMasks } from '../../src/ops/mask_paste/paste_masks.js';
import { batchedNmsOnDevice } from '../../src/ops/nms/batched_nms.js';
import { BATCHED_NMS } from '../../src/ops/nms/kernel_names.js';
import { multilevelRoiAlign } from '../../src/ops/roi_align/multilevel_roi_align.js';
import { batchedRotatedNmsOnDevice, rotatedIouOnDevice } from '../../src/ops/rotated/boxes_on_device.js';
import { BATCHED_ROTATED_NMS, ROTATED_IOU, ROTATED_ROI_ALIGN } from '../../src/ops/rotated/kernel_names.js';
import { rotatedRoiAlign } from '../../src/ops/rotated/roi_align.js';
import { AnchorGenerator } from '../../src/rpn/anchor_generator.js';
import { Box2BoxTransform } from '../../src/rpn/box_transform.js';
import { refineRegions } from '../../src/rpn/decode_on_device.js';
import '../../src/rpn/rpn.js';
import { RPN_PROPOSALS, selectProposals } from '../../src/rpn/proposal_kernel.js';

const random = new Random(3);
const noise = (shape: number[]): tf.Tensor =>
  tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform(-1, 1)),
    shape,
  );

interface Op {
  /** Where the op is a kernel that not every backend has. */
  kernel?: string;
  inputs: () => tf.Tensor[];
  run: (...inputs: tf.Tensor[]) => tf.Tensor;
  /** Without a gradient. */
  forwardOnly?: true;
  /** With the backward passes that repeat bit by bit. */
  deterministic?: true;
}

const REGIONS = [
  [0, 1, 2, 30, 40],
  [0, 5, 5, 20, 12],
];

const DEFORM = { stride: 1, padding: 1, dilation: 1, groups: 1, deformableGroups: 1 };

const pooled = (maps: tf.Tensor[], onDevice: boolean): tf.Tensor =>
  tf.tidy(() => {
    const rois = tf.tensor2d(REGIONS);
    // Computed regions have no values on the host, where a GPU runs.
    const regions = onDevice ? tf.mul<tf.Tensor2D>(tf.mul(rois, 2), 0.5) : rois;
    return multilevelRoiAlign(maps as tf.Tensor4D[], regions, onDevice ? { minLevel: 2, maxLevel: 3 } : Int32Array.of(0, 1), {
      outputSize: [7, 7],
      spatialScales: [0.25, 0.125],
      samplingRatio: 0,
      aligned: true,
    });
  });

/** Each op that works on tensors, on small ones. */
const OPS: Record<string, Op> = {
  multilevelRoiAlign: {
    inputs: () => [noise([1, 16, 16, 8]), noise([1, 8, 8, 8])],
    run: (...maps) => pooled(maps, false),
  },
  'multilevelRoiAlign of regions on the device': {
    inputs: () => [noise([1, 16, 16, 8]), noise([1, 8, 8, 8])],
    run: (...maps) => pooled(maps, true),
  },
  pasteMasks: {
    inputs: () => [noise([3, 7, 7])],
    run: (masks) => pasteMasks(masks as tf.Tensor3D, Float32Array.of(1, 2, 30, 40, 5, 5, 20, 12, 8, 8, 8, 8), 48, 50),
    forwardOnly: true,
  },
  rotatedRoiAlign: {
    kernel: ROTATED_ROI_ALIGN,
    inputs: () => [noise([1, 16, 16, 4])],
    run: (x) =>
      tf.tidy(() =>
        rotatedRoiAlign(x as tf.Tensor4D, tf.tensor2d([[0, 20, 20, 30, 10, 33]]), {
          outputSize: [3, 3],
          spatialScale: 0.25,
          samplingRatio: 2,
        }),
      ),
  },
  batchedNmsOnDevice: {
    kernel: BATCHED_NMS,
    inputs: () => [noise([60, 4]), noise([60]), tf.zeros([60], 'int32')],
    run: (boxes, scores, groups) =>
      batchedNmsOnDevice(boxes as tf.Tensor2D, scores as tf.Tensor1D, groups as tf.Tensor1D, { iouThreshold: 0.3 }),
    forwardOnly: true,
  },
  rotatedIouOnDevice: {
    kernel: ROTATED_IOU,
    inputs: () => [noise([9, 5]), noise([7, 5])],
    run: (a, b) => rotatedIouOnDevice(a as tf.Tensor2D, b as tf.Tensor2D),
    forwardOnly: true,
  },
  batchedRotatedNmsOnDevice: {
    kernel: BATCHED_ROTATED_NMS,
    inputs: () => [noise([60, 5]), noise([60])],
    run: (boxes, scores) =>
      batchedRotatedNmsOnDevice(boxes as tf.Tensor2D, scores as tf.Tensor1D, undefined, { iouThreshold: 0.3 }),
    forwardOnly: true,
  },
  deformConv2d: {
    kernel: DEFORM_COLUMNS,
    inputs: () => [noise([1, 6, 6, 4]), noise([1, 6, 6, 18]), noise([3, 3, 4, 4]), noise([1, 6, 6, 9])],
    run: (x, offset, weight, mask) =>
      deformConv2d({ x, offset, weight, mask } as unknown as Parameters<typeof deformConv2d>[0], DEFORM),
  },
  'deformConv2d without a mask': {
    kernel: DEFORM_COLUMNS,
    inputs: () => [noise([1, 6, 6, 4]), noise([1, 6, 6, 18]), noise([3, 3, 4, 4])],
    run: (x, offset, weight) => deformConv2d({ x, offset, weight } as unknown as Parameters<typeof deformConv2d>[0], DEFORM),
  },
  selectProposals: {
    kernel: RPN_PROPOSALS,
    inputs: () => [noise([1, 10, 10, 1]), noise([1, 10, 10, 4])],
    run: (logits, deltas) =>
      selectProposals([logits as tf.Tensor4D], [deltas as tf.Tensor4D], {
        anchors: new AnchorGenerator({ sizes: [[16]], aspectRatios: [[1]], strides: [8], offset: 0 }),
        transform: new Box2BoxTransform([1, 1, 1, 1]),
        selection: { nmsThreshold: 0.7, preNmsTopK: 50, postNmsTopK: 20, minBoxSize: 0 },
        imageSizes: [[80, 80]],
      }),
    forwardOnly: true,
  },
  refineRegions: {
    inputs: () => [noise([2, 4]), tf.tensor2d(REGIONS.map((row) => [...row, 0.5]))],
    run: (deltas, regions) =>
      refineRegions(deltas as tf.Tensor2D, regions as tf.Tensor2D, new Box2BoxTransform([1, 1, 1, 1]), [[50, 50]]),
    forwardOnly: true,
  },
  'a large 3x3 convolution': {
    inputs: () => [noise([1, 14, 14, 8]), noise([3, 3, 8, 8]), noise([8])],
    run: (x, filter, bias) =>
      tf.fused.conv2d({
        x: x as tf.Tensor4D,
        filter: filter as tf.Tensor4D,
        strides: 1,
        pad: 'same',
        bias,
        activation: 'relu',
      }),
  },
  groupedConv2d: {
    inputs: () => [noise([1, 6, 6, 8]), noise([3, 3, 4, 8])],
    run: (x, kernel) => groupedConv2d(x as tf.Tensor4D, kernel as tf.Tensor4D, 2, 1, 'same'),
  },
  dilatedConv2d: {
    inputs: () => [noise([1, 7, 6, 4]), noise([3, 3, 4, 4])],
    run: (x, kernel) =>
      dilatedConv2d(x as tf.Tensor4D, { kernelSize: 3, stride: 1, padding: 2, dilation: 2 }, (map) =>
        tf.conv2d(map, kernel as tf.Tensor4D, 1, 'valid'),
      ),
  },
  groupNorm: {
    inputs: () => [noise([1, 6, 6, 8]), noise([8]), noise([8])],
    run: (x, weight, bias) => groupNorm(x as tf.Tensor4D, weight as tf.Tensor1D, bias as tf.Tensor1D, 2, 1e-5),
  },
  'a product of matrices': {
    inputs: () => [noise([33, 64]), noise([64, 48])],
    run: (a, b) => tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D),
  },
  'the largest of windows': {
    inputs: () => [noise([1, 9, 8, 4])],
    run: (x) => tf.maxPool(x as tf.Tensor4D, 3, 2, 'valid'),
  },
  'rows, some twice': {
    inputs: () => [noise([9, 6])],
    run: (x) => tf.tidy(() => tf.gather(x, tf.tensor1d([4, 0, 4, 8], 'int32'))),
  },
  upsampleBilinear: {
    inputs: () => [noise([1, 4, 5, 3])],
    run: (x) => upsampleBilinear(x as tf.Tensor4D, 2),
  },
  upsampleNearest2x: {
    inputs: () => [noise([1, 4, 5, 3])],
    run: (x) => upsampleNearest2x(x as tf.Tensor4D),
  },
};

for (const name of ['multilevelRoiAlign', 'multilevelRoiAlign of regions on the device', 'rotatedRoiAlign', 'deformConv2d'])
  OPS[`${name}, deterministic`] = { ...OPS[name], deterministic: true };

/** The table's rows. */
export const OP_NAMES = Object.keys(OPS);

/** What a backend holds. */
export interface Held {
  tensors: number;
  /** Bytes of the GPU's buffers in use. */
  gpuBytes: number;
  /** Bytes of the wasm backend's heap: what is freed is used again, so it does not grow. */
  heapBytes: number;
  /** Bytes on that heap that were asked for and not given back. */
  allocatedBytes: number;
  /** Bytes that are handed out of the memories in which cpu and tensorflow run the compiled kernels. */
  arenaBytes: number;
}

const arenas = new Set<Arena>();
const { allocate } = Arena.prototype;
Arena.prototype.allocate = function (bytes) {
  arenas.add(this);
  return allocate.call(this, bytes);
};

/** Sizes of the blocks of a wasm heap that are in use, by address, from when it is first asked for. */
const blocks = new WeakMap<object, Map<number, number>>();

function blocksOf(wasm: WasmBackend['wasm']): Map<number, number> {
  const known = blocks.get(wasm);
  if (known) return known;
  const live = new Map<number, number>();
  blocks.set(wasm, live);
  // At its first call the module replaces its own entries.
  wasm._free(wasm._malloc(8));
  const { _malloc, _free } = wasm;
  wasm._malloc = (bytes) => {
    const address = _malloc(bytes);
    live.set(address, bytes);
    return address;
  };
  wasm._free = (address) => {
    live.delete(address);
    _free(address);
  };
  return live;
}

function held(): Held {
  const { wasm } = tf.backend() as unknown as Partial<WasmBackend>;
  const heap = wasm?.HEAPU8 as Uint8Array | undefined;
  const memory = tf.memory() as tf.MemoryInfo & { numBytesInGPU?: number };
  const sum = (sizes: Iterable<number>): number => [...sizes].reduce((a, b) => a + b, 0);
  return {
    tensors: memory.numTensors,
    gpuBytes: memory.numBytesInGPU ?? 0,
    heapBytes: heap?.buffer.byteLength ?? 0,
    allocatedBytes: wasm ? sum(blocksOf(wasm).values()) : 0,
    arenaBytes: sum([...arenas].map(({ bytesInUse }) => bytesInUse)),
  };
}

/**
 * Runs an op of the table so many times, forward and backward.
 * @returns what the running backend held before and after; undefined where it has no such kernel
 */
export async function heldAround(name: string, runs: number): Promise<{ before: Held; after: Held } | undefined> {
  const { kernel, inputs: make, run, forwardOnly, deterministic = false } = OPS[name];
  if (kernel && !tf.getKernel(kernel, tf.getBackend())) return undefined;
  held();
  tf.env().set('MASKRCNN_DETERMINISTIC', deterministic);
  const inputs = make();
  const once = async (): Promise<void> => {
    const out = run(...inputs);
    await out.data();
    out.dispose();
    if (forwardOnly) return;
    const { value, grads } = tf.valueAndGrads((...x: tf.Tensor[]) => tf.sum(run(...x)) as tf.Scalar)(inputs);
    for (const gradient of grads) await gradient.data();
    tf.dispose([value, grads]);
  };
  // The first runs compile programs, fill pools and cache what is read.
  for (let k = 0; k < 3; k++) await once();
  const before = held();
  for (let k = 0; k < runs; k++) await once();
  const after = held();
  tf.env().set('MASKRCNN_DETERMINISTIC', false);
  tf.dispose(inputs);
  return { before, after };
}
