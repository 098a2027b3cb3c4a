import { THREADED_KERNELS_BASE64 } from './binary.js';
import { compile } from './kernels.js';

const PAGE = 65536;
const ALIGNMENT = 64;

/** The kernels that threads share (assembly/threads.ts). All pointers are byte offsets into the shared memory. */
export interface ThreadedKernels {
  firstFree(): number;
  ready(): number;
  serve(slot: number): void;
  stayAwake(): void;
  filterOnThreads(filter: number, u: number, channels: number, outs: number, step: number): void;
  tilesOnThreads(
    x: number,
    u: number,
    bias: number,
    y: number,
    height: number,
    width: number,
    channels: number,
    outHeight: number,
    outWidth: number,
    outs: number,
    padTop: number,
    padLeft: number,
    relu: number,
    inStep: number,
    outStep: number,
    tiles: number,
    block: number,
    scratch: number,
    scratchBytes: number,
  ): void;
  packOnThreads(w: number, u: number, outs: number, first: number, count: number): void;
  productsOnThreads(
    x: number,
    u: number,
    bias: number,
    y: number,
    channels: number,
    outs: number,
    groups: number,
    first: number,
    count: number,
    relu: number,
    rows: number,
    block: number,
  ): void;
  gradientTilesOnThreads(
    x: number,
    dy: number,
    v: number,
    m: number,
    height: number,
    width: number,
    channels: number,
    outHeight: number,
    outWidth: number,
    outs: number,
    padTop: number,
    padLeft: number,
    start: number,
    count: number,
    capacity: number,
    patch: number,
  ): void;
  gradientRowsOnThreads(
    x: number,
    dy: number,
    v: number,
    m: number,
    channels: number,
    outs: number,
    start: number,
    count: number,
    capacity: number,
  ): void;
  gradientSumsOnThreads(
    v: number,
    m: number,
    sums: number,
    channels: number,
    outs: number,
    count: number,
    capacity: number,
    add: number,
    planes: number,
    perPlane: number,
  ): void;
  gradientFilter(sums: number, filter: number, channels: number, outs: number): void;
}

/** What a thread instantiates; it then calls the export `serve` with its slot and never returns. */
export interface ThreadTask {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly slot: number;
}

/** Starts a thread that does not keep the process alive. */
export type StartThread = (task: ThreadTask) => { terminate(): unknown };

/** Multiplications after which threads start: a third of a second's on one. What is done by then, a small model on a small picture, waits for none. */
const WORTH_STARTING = 6e9;

/** Multiplications from which on it pays to wake threads and to copy for them: a millisecond's. */
const WORTH_SHARING = 2e7;

/** Bytes of maps, in and out, that callers have in the shared memory at a time. */
export const STRIP_BYTES = 2 ** 25;

/** Blocks of the shared memory. */
export interface Reserved<K extends string> {
  readonly memory: WebAssembly.Memory;
  readonly kernels: ThreadedKernels;
  readonly at: Readonly<Record<K, number>>;
  /** Copies numbers to an address. */
  place(address: number, values: Float32Array): void;
}

/** How much of `total` to do at a time, at most `most` and divisible by 4 as that is, so that the threads end together. */
export function evenBlock(total: number, threads: number, most: number): number {
  const rounds = Math.ceil(total / (threads * most));
  return 4 * Math.ceil(total / (threads * rounds) / 4);
}

/** Threads with a memory of their own, which is shared, for work that the caller copies in and out. Results do not depend on how many there are. */
export class KernelThreads {
  private work = 0;
  /** Whether the machine has no room for the shared memory. */
  private refused = false;
  private started: { memory: WebAssembly.Memory; kernels: ThreadedKernels; threads: { terminate(): unknown }[] } | undefined;

  /**
   * @param helpers threads besides the caller's, at least one
   * @param worthStarting multiplications after which they start
   */
  constructor(
    private readonly helpers: number,
    private readonly start: StartThread,
    private readonly worthStarting = WORTH_STARTING,
  ) {}

  /**
   * Threads to share a piece of work among, the caller's included: 1 where it is too small, and until there has been work enough to start the others and
   * they have started, which nobody waits for.
   * @param work multiplications that the caller is about to do
   */
  count(work: number): number {
    this.work += work;
    if (!this.started) {
      if (this.work >= this.worthStarting && !this.refused) this.startAll();
      return 1;
    }
    return work >= WORTH_SHARING ? 1 + this.started.kernels.ready() : 1;
  }

  /** Threads at most, the caller's included. */
  get most(): number {
    return 1 + this.helpers;
  }

  /**
   * Places blocks of so many bytes in the shared memory; they hold until the next call.
   * @returns their addresses; undefined where no threads have started, or where the memory cannot grow so far
   */
  reserve<K extends string>(bytes: Record<K, number>): Reserved<K> | undefined {
    if (!this.started) return undefined;
    const { memory, kernels } = this.started;
    let end = kernels.firstFree();
    const at = {} as Record<K, number>;
    for (const name in bytes) {
      at[name] = end;
      end += Math.ceil(bytes[name] / ALIGNMENT) * ALIGNMENT;
    }
    const missing = end - memory.buffer.byteLength;
    if (missing > 0) {
      try {
        memory.grow(Math.ceil(missing / PAGE));
      } catch {
        return undefined;
      }
    }
    const { buffer } = memory;
    return { memory, kernels, at, place: (address, values) => new Float32Array(buffer, address).set(values) };
  }

  /** Ends the threads; a later call of `count` starts new ones. */
  dispose(): void {
    for (const thread of this.started?.threads ?? []) void thread.terminate();
    this.started = undefined;
    this.work = 0;
  }

  private startAll(): void {
    let memory: WebAssembly.Memory;
    try {
      memory = new WebAssembly.Memory({ initial: 1, maximum: 16384, shared: true });
    } catch {
      // Phones may not have the addresses for all that it may become: one thread goes on.
      this.refused = true;
      return;
    }
    const module = compile(THREADED_KERNELS_BASE64);
    const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as ThreadedKernels;
    if (!maySleep()) kernels.stayAwake();
    const threads = Array.from({ length: this.helpers }, (_, i) => this.start({ module, memory, slot: i + 1 }));
    this.started = { memory, kernels, threads };
  }
}

/** Whether this thread may wait for others: a page's own may not. */
function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return true;
  } catch {
    return false;
  }
}

const registry = new WeakMap<object, KernelThreads>();

/** Gives a backend threads; it has none otherwise. Those it had are ended. */
export function giveThreads(backend: object, threads: KernelThreads | undefined): void {
  registry.get(backend)?.dispose();
  if (threads) registry.set(backend, threads);
  else registry.delete(backend);
}

/** The threads that a backend was given. */
export function threadsOf(backend: object): KernelThreads | undefined {
  return registry.get(backend);
}
