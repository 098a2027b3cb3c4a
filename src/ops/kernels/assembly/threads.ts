// Convolutions and products of matrices whose parts several threads take from a counter. All of it lies in one shared memory: first what the threads tell each other, a line
// of the cache apiece, then the job, then what the host places from FIRST_FREE on.
import { gradientRows, gradientSums, gradientTiles } from './filter_gradient';
import { packPanels, products } from './products';
import { winogradFilter, winogradTiles } from './winograd';

/** Counts jobs; threads sleep on it. */
const GENERATION: usize = 64;
/** 1 while the job may be worked on. */
const OPEN: usize = 128;
/** Threads that are at the job, or are looking whether there is one. */
const ACTIVE: usize = 192;
/** The next part of the job that nobody has taken. */
const NEXT: usize = 256;
/** Threads that have started. */
const READY: usize = 320;
/** 32-bit words: which kernel, how many parts, then what `work` hands it. */
const JOB: usize = 384;

const FILTER = 0;
const TILES = 1;
const PACK = 2;
const PRODUCTS = 3;
const GRADIENT_TILES = 4;
const GRADIENT_ROWS = 5;
const GRADIENT_SUMS = 6;

/** Tiles or rows that a thread rearranges at a time for the gradient of a filter. */
const GRADIENT_BLOCK = 16;

export { gradientFilter } from './filter_gradient';

/** Whether the caller may sleep until the others are done. */
let sleeps = true;

export function firstFree(): usize {
  return 512;
}

/** For callers that may not sleep: a page's own thread, which would trap. They look again and again, for as long as one part takes. */
export function stayAwake(): void {
  sleeps = false;
}

/** How many threads besides the caller's serve. */
export function ready(): i32 {
  return atomic.load<i32>(READY);
}

/** The life of a thread: never returns. @param slot 1, 2, ... */
export function serve(slot: i32): void {
  let seen = atomic.load<i32>(GENERATION);
  atomic.add<i32>(READY, 1);
  while (true) {
    atomic.wait<i32>(GENERATION, seen, -1);
    seen = atomic.load<i32>(GENERATION);
    // In this order: who closes a job and then finds nobody active can be sure that nobody will find it open.
    atomic.add<i32>(ACTIVE, 1);
    if (atomic.load<i32>(OPEN)) work(slot);
    if (atomic.sub<i32>(ACTIVE, 1) == 1) atomic.notify(ACTIVE, 1);
  }
}

/** The transform of a filter (see winograd.ts) by all threads. */
export function filterOnThreads(filter: usize, u: usize, channels: i32, outs: i32, step: i32): void {
  put(2, filter);
  put(3, u);
  put(4, channels);
  put(5, outs);
  put(6, step);
  share(FILTER, outs >> 3);
}

/** A convolution (see winograd.ts) by all threads. @param scratch for every slot, the caller's 0 included, `scratchBytes` */
export function tilesOnThreads(
  x: usize,
  u: usize,
  bias: usize,
  y: usize,
  height: i32,
  width: i32,
  channels: i32,
  outHeight: i32,
  outWidth: i32,
  outs: i32,
  padTop: i32,
  padLeft: i32,
  relu: i32,
  inStep: i32,
  outStep: i32,
  tiles: i32,
  block: i32,
  scratch: usize,
  scratchBytes: i32,
): void {
  put(2, x);
  put(3, u);
  put(4, channels);
  put(5, outs);
  put(6, bias);
  put(7, y);
  put(8, height);
  put(9, width);
  put(10, outHeight);
  put(11, outWidth);
  put(12, padTop);
  put(13, padLeft);
  put(14, relu);
  put(15, tiles);
  put(16, block);
  put(17, scratch);
  put(18, scratchBytes);
  put(19, inStep);
  put(20, outStep);
  share(TILES, (tiles + block - 1) / block);
}

/** The panels of a matrix (see products.ts) by all threads. */
export function packOnThreads(w: usize, u: usize, outs: i32, first: i32, count: i32): void {
  put(2, w);
  put(3, u);
  put(4, outs);
  put(5, first);
  put(6, count);
  share(PACK, outs >> 3);
}

/** A product of matrices (see products.ts) by all threads, `block` rows at a time. */
export function productsOnThreads(
  x: usize,
  u: usize,
  bias: usize,
  y: usize,
  channels: i32,
  outs: i32,
  groups: i32,
  first: i32,
  count: i32,
  relu: i32,
  rows: i32,
  block: i32,
): void {
  put(2, x);
  put(3, u);
  put(4, channels);
  put(5, outs);
  put(6, bias);
  put(7, y);
  put(8, first);
  put(9, count);
  put(10, relu);
  put(11, rows);
  put(12, block);
  put(13, groups);
  share(PRODUCTS, (rows + block - 1) / block);
}

/** Tiles for the gradient of a 3x3 filter (see filter_gradient.ts) by all threads: `count` of them from `start` on. @param patch for every slot, the caller's 0 included */
export function gradientTilesOnThreads(
  x: usize,
  dy: usize,
  v: usize,
  m: usize,
  height: i32,
  width: i32,
  channels: i32,
  outHeight: i32,
  outWidth: i32,
  outs: i32,
  padTop: i32,
  padLeft: i32,
  start: i32,
  count: i32,
  capacity: i32,
  patch: usize,
): void {
  put(2, x);
  put(3, dy);
  put(4, v);
  put(5, m);
  put(6, height);
  put(7, width);
  put(8, channels);
  put(9, outHeight);
  put(10, outWidth);
  put(11, outs);
  put(12, padTop);
  put(13, padLeft);
  put(14, start);
  put(15, count);
  put(16, capacity);
  put(17, patch);
  share(GRADIENT_TILES, (count + GRADIENT_BLOCK - 1) / GRADIENT_BLOCK);
}

/** Rows for the gradient of a matrix (see filter_gradient.ts) by all threads: `count` of them from `start` on. */
export function gradientRowsOnThreads(
  x: usize,
  dy: usize,
  v: usize,
  m: usize,
  channels: i32,
  outs: i32,
  start: i32,
  count: i32,
  capacity: i32,
): void {
  put(2, x);
  put(3, dy);
  put(4, v);
  put(5, m);
  put(8, channels);
  put(11, outs);
  put(14, start);
  put(15, count);
  put(16, capacity);
  share(GRADIENT_ROWS, (count + GRADIENT_BLOCK - 1) / GRADIENT_BLOCK);
}

/** Sums over tiles or rows (see filter_gradient.ts) by all threads. */
export function gradientSumsOnThreads(
  v: usize,
  m: usize,
  sums: usize,
  channels: i32,
  outs: i32,
  count: i32,
  capacity: i32,
  add: i32,
  planes: i32,
  perPlane: i32,
): void {
  put(2, v);
  put(3, m);
  put(4, sums);
  put(5, channels);
  put(6, outs);
  put(7, count);
  put(8, capacity);
  put(9, add);
  put(10, perPlane);
  share(GRADIENT_SUMS, planes * perPlane);
}

function put(index: i32, value: i32): void {
  store<i32>(JOB + (<usize>index << 2), value);
}

function word(index: i32): i32 {
  return load<i32>(JOB + (<usize>index << 2));
}

/** Works on the job with whoever wakes up in time, and returns when all of it is done. */
function share(kernel: i32, parts: i32): void {
  put(0, kernel);
  put(1, parts);
  atomic.store<i32>(NEXT, 0);
  atomic.store<i32>(OPEN, 1);
  atomic.add<i32>(GENERATION, 1);
  atomic.notify(GENERATION, -1);
  work(0);
  atomic.store<i32>(OPEN, 0);
  while (true) {
    const active = atomic.load<i32>(ACTIVE);
    if (active == 0) return;
    if (sleeps) atomic.wait<i32>(ACTIVE, active, -1);
  }
}

function work(slot: i32): void {
  const kernel = word(0);
  const parts = word(1);
  while (true) {
    const part = atomic.add<i32>(NEXT, 1);
    if (part >= parts) return;
    if (kernel == FILTER) {
      winogradFilter(word(2), word(3), word(4), word(5), word(6), part, part + 1);
    } else if (kernel == TILES) {
      const block = word(16);
      const end = min(part * block + block, word(15));
      const scratch = <usize>word(17) + <usize>slot * <usize>word(18);
      // prettier-ignore
      winogradTiles(
        word(2), word(3), word(6), word(7), word(8), word(9), word(4), word(10), word(11), word(5), word(12), word(13), word(14),
        word(19), word(20), part * block, end, block, scratch,
      );
    } else if (kernel == PACK) {
      packPanels(word(2), word(3), word(4), word(5), word(6), part, part + 1);
    } else if (kernel == GRADIENT_TILES || kernel == GRADIENT_ROWS) {
      const start = word(14);
      const first = start + part * GRADIENT_BLOCK;
      const end = min(first + GRADIENT_BLOCK, start + word(15));
      // prettier-ignore
      if (kernel == GRADIENT_ROWS) {
        gradientRows(word(2), word(3), word(4), word(5), word(8), word(11), start, first, end, word(16));
      } else {
        gradientTiles(
          word(2), word(3), word(4), word(5), word(6), word(7), word(8), word(9), word(10), word(11), word(12), word(13), start, first, end,
          word(16), <usize>word(17) + ((<usize>slot * word(8)) << 6),
        );
      }
    } else if (kernel == GRADIENT_SUMS) {
      gradientSums(word(2), word(3), word(4), word(5), word(6), word(7), word(8), word(9), word(10), part, part + 1);
    } else {
      const block = word(12);
      const end = min(part * block + block, word(11));
      products(word(2), word(3), word(6), word(7), word(4), word(5), word(13), word(8), word(9), word(10), part * block, end);
    }
  }
}
