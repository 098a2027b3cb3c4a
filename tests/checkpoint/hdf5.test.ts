import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readHdf5 } from '../../src/checkpoint/hdf5.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { CheckpointError } from '../../src/errors.js';
import fc from '../properties.js';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/hdf5/${name}`, import.meta.url));
const bytes = new Uint8Array(readFileSync(fixture('keras.h5')));
const chunked = new Uint8Array(readFileSync(fixture('chunked.h5')));
const values = JSON.parse(readFileSync(fixture('values.json'), 'utf8')) as Record<string, { shape: number[]; values: number[] }>;

describe('HDF5', () => {
  it("has h5py's names, shapes and values, over several nodes of a group's tree", () => {
    const { tensors, ignored } = readHdf5(bytes);
    const whole = Object.entries(values).filter(([name]) => !name.startsWith('chunked.h5/'));
    expect([...tensors.keys()].sort()).toEqual([...whole.map(([name]) => name), 'optimizer/half', 'optimizer/iterations'].sort());
    for (const [name, { shape, values: expected }] of whole) {
      expect(tensors.get(name)!.shape, name).toEqual(shape);
      expect([...tensors.get(name)!.toFloat32()], name).toEqual(expected);
    }
    expect([...tensors.get('optimizer/half')!.toFloat32()]).toEqual([0.5, -2]);
    expect(tensors.get('optimizer/iterations')!.shape).toEqual([]);
    expect([...tensors.get('optimizer/iterations')!.toFloat32()]).toEqual([7]);
    expect(ignored).toEqual(['optimizer/name']);
  });

  it('chunks, compressed, shuffled, cut off at the end or never written, have their values', () => {
    const { tensors } = readHdf5(chunked);
    const names = Object.keys(values).filter((name) => name.startsWith('chunked.h5/'));
    expect(tensors.size).toBe(names.length);
    for (const name of names) {
      const tensor = tensors.get(name.slice('chunked.h5/'.length))!;
      expect(tensor.shape, name).toEqual(values[name]!.shape);
      expect([...tensor.toFloat32()], name).toEqual(values[name]!.values);
    }
  });

  it('is told apart by its contents', async () => {
    const { format, tensors } = await readCheckpoint(fixture('keras.h5'));
    expect(format).toBe('hdf5');
    expect(tensors.get('conv1/conv1/kernel:0')!.shape).toEqual([7, 7, 3, 2]);
  });

  it('says what it cannot read', async () => {
    await expect(readCheckpoint(fixture('lzf.h5'))).rejects.toThrow(
      /lzf.h5: the HDF5 dataset 'a' is compressed by filter 32000; expected gzip/,
    );
    const newer = bytes.slice();
    newer[8] = 2;
    expect(() => readHdf5(newer)).toThrow(/superblock 2/);
  });

  it.each([
    ['whole', bytes],
    ['in chunks', chunked],
  ])('cut or damaged, %s, fails with its own error or reads what is whole', (_, bytes) => {
    const attempt = (damaged: Uint8Array): void => {
      try {
        for (const tensor of readHdf5(damaged).tensors.values()) tensor.toFloat32();
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
      }
    };
    fc.assert(fc.property(fc.integer({ min: 16, max: bytes.length }), (length) => attempt(bytes.subarray(0, length))));
    fc.assert(
      fc.property(fc.integer({ min: 8, max: bytes.length - 1 }), fc.nat(255), (at, value) => {
        const damaged = bytes.slice();
        damaged[at] = value;
        attempt(damaged);
      }),
    );
  });
});
