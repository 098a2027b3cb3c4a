// A convolution whose parts several threads take from a counter. All of it lies in one shared memory: first what the threads tell each other, a line
// of the cache apiece, then the job, then what the host places from FIRST_FREE on.
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
/** 32-bit words, in the order of `convolve`'s arguments. */
const JOB: usize = 384;

export function firstFree(): usize {
  return 512;
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

/** The transform of a filter (see winograd.ts), by all threads. */
export function filterOnThreads(filter: usize, u: usize, channels: i32, outs: i32): void {
  store<i32>(JOB, 0);
  store<i32>(JOB, outs >> 3, 4);
  store<usize>(JOB, filter, 8);
  store<usize>(JOB, u, 12);
  store<i32>(JOB, channels, 16);
  store<i32>(JOB, outs, 20);
  share();
}

/** A convolution (see winograd.ts) by all threads. @param scratch for every slot, the caller's 0 included, `scratchBytes` */
export function convolveOnThreads(
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
  tiles: i32,
  block: i32,
  scratch: usize,
  scratchBytes: i32,
): void {
  store<i32>(JOB, 1);
  store<i32>(JOB, (tiles + block - 1) / block, 4);
  store<usize>(JOB, x, 8);
  store<usize>(JOB, u, 12);
  store<i32>(JOB, channels, 16);
  store<i32>(JOB, outs, 20);
  store<usize>(JOB, bias, 24);
  store<usize>(JOB, y, 28);
  store<i32>(JOB, height, 32);
  store<i32>(JOB, width, 36);
  store<i32>(JOB, outHeight, 40);
  store<i32>(JOB, outWidth, 44);
  store<i32>(JOB, padTop, 48);
  store<i32>(JOB, padLeft, 52);
  store<i32>(JOB, relu, 56);
  store<i32>(JOB, tiles, 60);
  store<i32>(JOB, block, 64);
  store<usize>(JOB, scratch, 68);
  store<i32>(JOB, scratchBytes, 72);
  share();
}

/** Works on the job with whoever wakes up in time, and returns when all of it is done. */
function share(): void {
  atomic.store<i32>(NEXT, 0);
  atomic.store<i32>(OPEN, 1);
  atomic.add<i32>(GENERATION, 1);
  atomic.notify(GENERATION, -1);
  work(0);
  atomic.store<i32>(OPEN, 0);
  while (true) {
    const active = atomic.load<i32>(ACTIVE);
    if (active == 0) return;
    atomic.wait<i32>(ACTIVE, active, -1);
  }
}

function work(slot: i32): void {
  const tiled = load<i32>(JOB) != 0;
  const parts = load<i32>(JOB, 4);
  const block = load<i32>(JOB, 64);
  const scratch = load<usize>(JOB, 68) + <usize>slot * load<usize>(JOB, 72);
  while (true) {
    const part = atomic.add<i32>(NEXT, 1);
    if (part >= parts) return;
    const source = load<usize>(JOB, 8), u = load<usize>(JOB, 12), channels = load<i32>(JOB, 16), outs = load<i32>(JOB, 20);
    if (!tiled) {
      winogradFilter(source, u, channels, outs, part, part + 1);
      continue;
    }
    const first = part * block;
    winogradTiles(
      source,
      u,
      load<usize>(JOB, 24),
      load<usize>(JOB, 28),
      load<i32>(JOB, 32),
      load<i32>(JOB, 36),
      channels,
      load<i32>(JOB, 40),
      load<i32>(JOB, 44),
      outs,
      load<i32>(JOB, 48),
      load<i32>(JOB, 52),
      load<i32>(JOB, 56),
      first,
      min(first + block, load<i32>(JOB, 60)),
      block,
      scratch,
    );
  }
}
