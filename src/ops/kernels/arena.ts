import { BackendError } from '../../errors.js';
import { instantiateKernels, type Kernels } from './kernels.js';

const PAGE = 65536;
const ALIGNMENT = 64;
const LARGEST = 65536 * PAGE;

/**
 * A WebAssembly memory of our own with the host kernels on it, and a first-fit allocator: for backends whose tensors live elsewhere
 * and are copied in. The memory grows as needed and never shrinks (WebAssembly cannot); freed blocks are used again.
 */
export class Arena {
  readonly memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  readonly kernels: Kernels = instantiateKernels(this.memory);
  /** Free blocks in order of address, never adjacent. The first block of the memory stays unused: 0 is no address. */
  private free: { start: number; end: number }[] = [{ start: ALIGNMENT, end: PAGE }];
  private readonly used = new Map<number, number>();

  /**
   * @returns the address of a block of at least `bytes` bytes, aligned to 64; its content is undefined
   * @throws BackendError when the 4 GiB of a WebAssembly memory, or the machine's memory, are spent
   */
  allocate(bytes: number): number {
    const size = Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    let at = this.free.findIndex((block) => block.end - block.start >= size);
    if (at < 0) at = this.grow(size);
    const block = this.free[at];
    const { start } = block;
    block.start += size;
    if (block.start === block.end) this.free.splice(at, 1);
    this.used.set(start, start + size);
    return start;
  }

  /** Gives a block back. Unknown addresses are a mistake of the caller and throw. */
  release(start: number): void {
    const end = this.used.get(start);
    if (end === undefined)
      throw new BackendError(`Address ${start} is not an allocated block of this arena; was it released twice?`);
    this.used.delete(start);
    let at = this.free.findIndex((block) => block.start > start);
    if (at < 0) at = this.free.length;
    this.free.splice(at, 0, { start, end });
    if (at + 1 < this.free.length && this.free[at + 1].start === end) {
      this.free[at].end = this.free[at + 1].end;
      this.free.splice(at + 1, 1);
    }
    if (at > 0 && this.free[at - 1].end === start) {
      this.free[at - 1].end = this.free[at].end;
      this.free.splice(at, 1);
    }
  }

  /** A view of `length` floats; it dies when the memory grows, so take it after the last allocation. */
  floats(start: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, start, length);
  }

  /** The bytes that are handed out now. */
  get bytesInUse(): number {
    let sum = 0;
    for (const [start, end] of this.used) sum += end - start;
    return sum;
  }

  /** Makes room for `size` more bytes at the end; returns the index of the block that holds them. */
  private grow(size: number): number {
    const end = this.memory.buffer.byteLength;
    const last = this.free.at(-1);
    const joined = last !== undefined && last.end === end;
    const missing = size - (joined ? last.end - last.start : 0);
    const pages = Math.ceil(missing / PAGE);
    try {
      if (end + pages * PAGE > LARGEST) throw new RangeError('4 GiB');
      this.memory.grow(pages);
    } catch (cause) {
      throw new BackendError(
        `The host kernels need ${size} bytes more than the ${end} that they have, and the memory cannot grow. ` +
          'Use fewer images in a batch, or smaller ones.',
        { cause },
      );
    }
    if (joined) last.end += pages * PAGE;
    else this.free.push({ start: end, end: end + pages * PAGE });
    return this.free.length - 1;
  }
}
