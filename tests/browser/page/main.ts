import * as tf from '@tensorflow/tfjs-core';
import * as library from '../../../src/browser/index.js';
import type { Line } from '../../golden/compare.js';
import { GoldenTensors } from '../../golden/golden_tensors.js';
import { batchedNmsAdapter } from '../../golden/ops/batched_nms.js';
import { CaseView, type OpsAdapter, type OpsCase } from '../../golden/ops/case_view.js';
import { deformConv } from '../../golden/ops/deform_conv.js';
import { pasteMasks } from '../../golden/ops/paste_masks.js';
import { roiAlignAdapter } from '../../golden/ops/roi_align.js';
import { roiPooler } from '../../golden/ops/roi_pooler.js';
import { rotated } from '../../golden/ops/rotated.js';
import { runCase } from '../../golden/ops/run_case.js';
import { KERNEL_NAMES, kernelDifferences } from '../../ops/kernel_problems/index.js';
import { keptOf, refusalOfTooMany } from '../../ops/nms/problems.js';
import { comparePaste } from '../../ops/mask_paste/problems.js';
import { compareOverlaps, compareSuppression } from '../../ops/rotated/problems.js';
import { compareDeviceRegions, compareManyMaps, compareWithLoops, poolNothing } from '../../ops/roi_align/problems.js';
import { compareDenseChoice } from '../../meta_arch/dense_problems.js';
import { compareChoice } from '../../rpn/proposal_problems.js';
import { differentLabels } from '../../semantic/label_problems.js';
import { readBacks } from '../../../src/ops/read_back.js';
import { heldAround, OP_NAMES } from '../../ops/memory_problems.js';
import { groupedConv2d } from '../../../src/layers/grouped_conv2d.js';
import { giveThreads, threadsOf } from '../../../src/ops/kernels/kernel_threads.js';
import { wasmHeap, type WasmBackend } from '../../../src/ops/kernels/wasm_heap.js';
import { maxDifference } from '../../ops/max_difference.js';
import { multilevelRoiAlign } from '../../../src/ops/roi_align/multilevel_roi_align.js';

const ADAPTERS: Record<string, OpsAdapter> = {
  roi_align: roiAlignAdapter,
  roi_pooler: roiPooler,
  batched_nms: batchedNmsAdapter,
  rotated,
  deform_conv: deformConv,
  paste_masks: pasteMasks,
};

/** The recorded cases of an operation, served under `folder`, on the running backend. */
async function goldenOps(folder: string, operation: string): Promise<Line[]> {
  const { cases } = (await (await fetch(`${folder}/${operation}.json`)).json()) as { cases: OpsCase[] };
  const bytes = await (await fetch(`${folder}/${operation}.safetensors`)).arrayBuffer();
  const file = new GoldenTensors(operation, new Uint8Array(bytes));
  const lines: Line[] = [];
  // Atomic sums in no order stray a little farther than the recorded ones do; the repeatable pass does not.
  tf.env().set('MASKRCNN_DETERMINISTIC', true);
  for (let i = 0; i < cases.length; i++)
    await runCase(cases[i].name, new CaseView(cases, i, file), ADAPTERS[operation], undefined, (line) => lines.push(line));
  return lines;
}

/** What the running backend holds; `programs` only where it compiles any. */
function held(): { tensors: number; bytesInGpu: number | undefined; programs: number | undefined } {
  const { numTensors, numBytesInGPU } = tf.memory() as tf.MemoryInfo & { numBytesInGPU?: number };
  const { binaryCache, pipelineCache } = tf.backend() as { binaryCache?: object; pipelineCache?: object };
  const cache = binaryCache ?? pipelineCache;
  return { tensors: numTensors, bytesInGpu: numBytesInGPU, programs: cache && Object.keys(cache).length };
}

/** RoIAlign with its gradient on `count` regions of a 20 x 20 map. */
async function poolOnce(count: number): Promise<void> {
  const rois = tf.tensor2d(Array.from({ length: count }, (_, i) => [0, i % 7, i % 5, 9 + (i % 11), 8 + (i % 12)]));
  const x = tf.ones([1, 20, 20, 8]);
  const gradient = tf.grad((map: tf.Tensor) =>
    multilevelRoiAlign([map as tf.Tensor4D], rois, new Int32Array(count), {
      outputSize: [7, 7],
      spatialScales: [1],
      samplingRatio: 0,
      aligned: true,
    }),
  )(x);
  await gradient.data();
  tf.dispose([rois, x, gradient]);
}

/** The kernels of the table that are not what their definition says, and how many were asked. */
async function wrongKernels(): Promise<{ asked: number; wrong: Record<string, string[]> }> {
  const wrong: Record<string, string[]> = {};
  for (const name of KERNEL_NAMES) {
    // What one kernel throws says nothing of the next.
    const differences = await kernelDifferences(name).catch((error: unknown) => [String(error)]);
    if (differences.length > 0) wrong[name] = differences;
  }
  return { asked: KERNEL_NAMES.length, wrong };
}

/** The ops of the table that hold something else after 100 runs than before, and those that this backend has. */
async function heldAfterRuns(): Promise<{ ran: string[]; differences: string[] }> {
  const ran: string[] = [];
  const differences: string[] = [];
  for (const name of OP_NAMES) {
    const found = await heldAround(name, 100);
    if (!found) continue;
    ran.push(name);
    const [before, after] = [found.before, found.after].map((it) => JSON.stringify(it));
    if (before !== after) differences.push(`${name}: ${before} before, ${after} after`);
  }
  return { ran, differences };
}

/** How often values came back from the device while something ran: by the library's own count, and by that of the backend's two ways to read. */
async function countReads(run: () => Promise<unknown>): Promise<{ library: number; waited: number; blocked: number }> {
  const backend = tf.backend();
  type Held = { get(dataId: object): { values?: unknown } };
  const { texData, tensorMap } = backend as unknown as { texData?: Held; tensorMap?: Held };
  const before = readBacks.count;
  const counts = { waited: 0, blocked: 0 };
  const { read, readSync } = backend;
  // Values that are on the host, such as those of a tensor that was just made, wait for nothing.
  const isOnHost = (dataId: object): boolean => Boolean((texData ?? tensorMap)?.get(dataId)?.values);
  backend.read = (dataId) => {
    if (!isOnHost(dataId)) counts.waited++;
    return read.call(backend, dataId);
  };
  backend.readSync = (dataId) => {
    if (!isOnHost(dataId)) counts.blocked++;
    return readSync.call(backend, dataId);
  };
  try {
    await run();
  } finally {
    Object.assign(backend, { read, readSync });
  }
  return { library: readBacks.count - before, ...counts };
}

/** Waits until all threads of the wasm device take part; nobody else does. @returns how many, the page's own included */
async function awaitThreads(): Promise<number> {
  const threads = threadsOf(tf.backend());
  for (let wait = 0; threads && threads.count(1e9) < threads.most && wait < 2000; wait++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  return threads?.count(1e9) ?? 1;
}

/** Numbers from -1 to 1 without a pattern that a kernel could profit from. */
function ramp(...shape: number[]): tf.Tensor {
  return tf.tidy(() =>
    tf.tensor(
      Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => ((i * 37) % 101) / 50 - 1),
      shape,
    ),
  );
}

/** A convolution by Winograd, a grouped one, and a product of matrices, each large enough to be shared among threads; and regions of a map. */
async function hostKernels(): Promise<Record<string, Float32Array>> {
  const found = tf.tidy(() => {
    const map = ramp(1, 64, 64, 64) as tf.Tensor4D;
    const rois = tf.tensor2d(Array.from({ length: 9 }, (_, i) => [0, i, 2 * i, 12 + i, 9 + 3 * i]));
    const pooling = { outputSize: [7, 7] as [number, number], spatialScales: [1], samplingRatio: 0, aligned: true };
    return {
      winograd: tf.conv2d(map, ramp(3, 3, 64, 64) as tf.Tensor4D, 1, 'same'),
      grouped: groupedConv2d(map, ramp(3, 3, 16, 64) as tf.Tensor4D, 4, 1, 'same'),
      product: tf.matMul(ramp(600, 256), ramp(256, 256)),
      regions: multilevelRoiAlign([map], rois, new Int32Array(9), pooling),
    } as Record<string, tf.Tensor>;
  });
  const values: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(found)) values[name] = (await tensor.data()) as Float32Array;
  tf.dispose(found);
  return values;
}

/** What several threads of wasm compute, against one thread and against plain JavaScript: largest differences. */
async function compareThreads(): Promise<{ threads: number; ownHeap: boolean; fromOne: number; fromPlain: number }> {
  await library.startBackend('wasm');
  const threads = await awaitThreads();
  const shared = await hostKernels();
  giveThreads(tf.backend(), undefined);
  const alone = await hostKernels();
  const ownHeap = wasmHeap(tf.backend() as unknown as WasmBackend) !== undefined;
  await library.startBackend('cpu');
  const plain = await hostKernels();
  await library.startBackend('wasm');
  const names = Object.keys(shared);
  return {
    threads,
    ownHeap,
    fromOne: Math.max(...names.map((name) => maxDifference(shared[name], alone[name]))),
    fromPlain: Math.max(...names.map((name) => maxDifference(alone[name], plain[name]))),
  };
}

/** Gradients of a convolution's map and filter and of a pooling whose windows may be negative throughout, as training takes them. */
async function gradients(): Promise<Record<string, number[]>> {
  const [map, filter, above] = [ramp(2, 9, 8, 5), ramp(3, 3, 5, 6), ramp(2, 5, 4, 6)];
  const convolved = tf.grads((x: tf.Tensor, w: tf.Tensor) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, 'same'));
  const [byMap, byFilter] = convolved([map, filter], above);
  const below = tf.sub(map, 2);
  const byPooled = tf.grad((x: tf.Tensor) => tf.maxPool(x as tf.Tensor4D, 3, 2, 'valid'))(below);
  const byGathered = tf.grad((x: tf.Tensor) => tf.gather(x, [1, 0, 1]))(map);
  const tensors = { byMap, byFilter, byPooled, byGathered };
  const values: Record<string, number[]> = {};
  for (const [name, tensor] of Object.entries(tensors)) values[name] = [...(await tensor.data())];
  tf.dispose([map, filter, above, below, tensors]);
  return values;
}

/** What the tests call in the page. */
const api = {
  tf,
  ...library,
  awaitThreads,
  compareThreads,
  compareChoice,
  compareDenseChoice,
  differentLabels,
  compareDeviceRegions,
  compareWithLoops,
  compareManyMaps,
  countReads,
  goldenOps,
  compareOverlaps,
  comparePaste,
  compareSuppression,
  gradients,
  held,
  heldAfterRuns,
  keptOf,
  maxDifference,
  poolNothing,
  poolOnce,
  refusalOfTooMany,
  wrongKernels,
};
declare global {
  interface Window {
    api: typeof api;
  }
}
window.api = api;
