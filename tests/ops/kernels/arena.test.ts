import { describe, expect, it } from 'vitest';
import { BackendError } from '../../../src/errors.js';
import { Arena } from '../../../src/ops/kernels/arena.js';

describe('Arena', () => {
  it('hands out aligned blocks that do not overlap, and uses freed ones again', () => {
    const arena = new Arena();
    const blocks = [100, 1, 200000, 64].map((bytes) => arena.allocate(bytes));
    expect(blocks.every((address) => address > 0 && address % 64 === 0)).toBe(true);
    expect(arena.bytesInUse).toBe(128 + 64 + 200000 + 64);
    blocks.forEach((address, k) => arena.floats(address, 1).fill(k + 1));
    expect(blocks.map((address) => arena.floats(address, 1)[0])).toEqual([1, 2, 3, 4]);
    const size = arena.memory.buffer.byteLength;
    for (const k of [1, 3, 0, 2]) arena.release(blocks[k]);
    expect(arena.bytesInUse).toBe(0);
    // All is one free block again: something larger than any part fits without growing.
    arena.release(arena.allocate(size - 64));
    expect(arena.memory.buffer.byteLength).toBe(size);
  });

  it('refuses a second release and more than WebAssembly can address', () => {
    const arena = new Arena();
    const address = arena.allocate(10);
    arena.release(address);
    expect(() => arena.release(address)).toThrow('released twice');
    expect(() => arena.allocate(2 ** 32)).toThrow(BackendError);
    expect(arena.bytesInUse).toBe(0);
  });
});
