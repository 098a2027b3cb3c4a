import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from '../properties.js';
import { describe, expect, it } from 'vitest';
import { convertCheckpoint } from '../../src/checkpoint/convert.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { formatConversionReport } from '../../src/checkpoint/report.js';
import { parseSafetensors, readSafetensors, writeSafetensors } from '../../src/checkpoint/safetensors.js';
import { TensorData, floatsToHalves, halfToFloat } from '../../src/checkpoint/tensor_data.js';
import { CheckpointError } from '../../src/errors.js';

const fixtures = fileURLToPath(new URL('../fixtures/checkpoint/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'convert-'));
const expected = JSON.parse(readFileSync(join(fixtures, 'dtypes.json'), 'utf8')) as Record<
  string,
  { shape: number[]; values: number[] }
>;

async function expectFixture(path: string): Promise<void> {
  const { tensors } = await readCheckpoint(path);
  for (const [name, { shape, values }] of Object.entries(expected)) {
    expect(tensors.get(name)!.shape, name).toEqual(shape);
    expect([...tensors.get(name)!.toFloat32()], name).toEqual(values);
  }
}

describe('convertCheckpoint', () => {
  it('.pkl to .safetensors to .pkl and back, every dtype', async () => {
    const first = join(folder, 'a.safetensors');
    const report = await convertCheckpoint(join(fixtures, 'dtypes_protocol4.pkl'), first);
    expect(report.dtypes).toMatchObject({ F32: 6, F16: 1, F64: 1, I64: 1, BOOL: 1 });
    await expectFixture(first);
    await convertCheckpoint(first, join(folder, 'b.pkl'));
    await expectFixture(join(folder, 'b.pkl'));
    const again = await readCheckpoint(join(folder, 'b.pkl'));
    expect(again.format).toBe('detectron2-pkl');
    expect(again.metadata).toEqual({ __author__: 'fixture', matching_heuristics: 'false', score: '0.5' });
    expect(again.tensors.get('a.float16')!.dtype).toBe('F16');
    expect(formatConversionReport(report)).toMatch(
      /^read +14\.1 kB +.*dtypes_protocol4\.pkl \(Detectron2 \.pkl\)\nwritten .*\ntensors +14 +3\d+ elements; /,
    );
  });

  it('writes a .pkl that Python and numpy load', async ({ skip }) => {
    const python = process.env.PYTHON ?? 'python3';
    try {
      execFileSync(python, ['-c', 'import numpy'], { stdio: 'ignore' });
    } catch {
      skip('no python3 with numpy');
    }
    const path = join(folder, 'python.pkl');
    await convertCheckpoint(join(fixtures, 'dtypes_protocol2.pkl'), path);
    const script = `
import json, pickle, sys
data = pickle.load(open(sys.argv[1], 'rb'), encoding='latin1')
assert data['__author__'] == 'fixture' and data['matching_heuristics'] is False, data
json.dump({k: {'shape': list(v.shape), 'dtype': str(v.dtype), 'values': v.astype('float64').ravel().tolist()} for k, v in data['model'].items() if k != 'a.long'}, sys.stdout)
`;
    const loaded = JSON.parse(execFileSync(python, ['-c', script, path], { encoding: 'utf8' })) as Record<
      string,
      { shape: number[]; dtype: string; values: number[] }
    >;
    expect(Object.keys(loaded).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, { shape, values }] of Object.entries(expected)) expect(loaded[name], name).toMatchObject({ shape, values });
    expect(loaded['a.float16'].dtype).toBe('float16');
    expect(loaded['a.bool'].dtype).toBe('bool');
  });

  it('writes the bytes of numpy, opcode by opcode', async () => {
    const path = join(folder, 'one.pkl');
    const source = join(folder, 'one.safetensors');
    await writeSafetensors(source, new Map([['w', { shape: [2], dtype: 'F32' as const, data: Float32Array.of(1, 2) }]]), {
      __author__: 'me',
    });
    await convertCheckpoint(source, path);
    const text = readFileSync(path).toString('latin1');
    expect(text).toBe(
      '\x80\x04}(X\x05\0\0\0model}(X\x01\0\0\0w' +
        'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R' +
        '(K\x01(J\x02\0\0\0tcnumpy\ndtype\nX\x02\0\0\0f4\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89' +
        'B\x08\0\0\0\0\0\x80\x3f\0\0\0\x40tbuX\x0a\0\0\0__author__X\x02\0\0\0meu.',
    );
  });

  it('--half rounds to the nearest, and refuses what float16 cannot hold', async () => {
    const path = join(folder, 'half.safetensors');
    await convertCheckpoint(join(fixtures, 'stored.pth'), path, { half: true });
    const { tensors } = await readSafetensors(path);
    expect(tensors.get('t.transposed')!.dtype).toBe('F16');
    expect([...tensors.get('t.transposed')!.toFloat32()]).toEqual([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    expect(tensors.get('t.count')!.dtype).toBe('I64');
    const big = join(folder, 'big.safetensors');
    await writeSafetensors(big, new Map([['w', { shape: [2], dtype: 'F32' as const, data: Float32Array.of(1, 70000) }]]));
    await expect(convertCheckpoint(big, join(folder, 'x.safetensors'), { half: true })).rejects.toThrow(
      /big\.safetensors: tensor 'w' holds 70000 at element 1, beyond float16/,
    );
    await expect(convertCheckpoint(big, join(folder, 'x.pkl'), { half: true })).rejects.toThrow(/stays in float32/);
  });

  it('names NaN, an unknown output and a tensor that does not fit the model', async () => {
    const path = join(folder, 'nan.safetensors');
    await writeSafetensors(path, new Map([['w', { shape: [2], dtype: 'F32' as const, data: Float32Array.of(1, NaN) }]]));
    await expect(convertCheckpoint(path, join(folder, 'x.pkl'))).rejects.toThrow(
      /nan\.safetensors: tensor 'w' \[2\] holds NaN at element 1/,
    );
    await expect(convertCheckpoint(path, join(folder, 'x.h5'))).rejects.toThrow(/has to end in \.safetensors or \.pkl/);
    const pth = join(fixtures, 'stored.pth');
    await expect(
      convertCheckpoint(pth, join(folder, 'x.pkl'), { parameters: [{ name: 't.plain', shape: [4, 4] }] }),
    ).rejects.toThrow(/\[3, 4\] in the file and \[4, 4\] in the model/);
    const { fit, tensors } = await convertCheckpoint(pth, join(folder, 'x.pkl'), {
      parameters: [{ name: 't.plain', shape: [3, 4] }],
    });
    expect(tensors).toBe(1);
    expect(fit!.unused).toContain('t.half');
  });
});

describe('safetensors', () => {
  const file = (header: unknown, body = 8): Uint8Array => {
    const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
    const bytes = new Uint8Array(8 + json.byteLength + body);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.byteLength), true);
    bytes.set(json, 8);
    return bytes;
  };
  const f32 = (...range: number[]) => ({ dtype: 'F32', shape: [(range[1] - range[0]) / 4], data_offsets: range });

  it.each([
    ['a header that is no JSON', file('{"a"'), /s: cannot read the safetensors file: its header is not JSON/],
    ['a huge header', Uint8Array.from([0, 0, 0, 0, 1, 0, 0, 0, 0x7b]), /its header claims 4294967296 bytes/],
    ['a cut header', file({ a: f32(0, 8) }).slice(0, 20), /ends inside the header/],
    ['a cut body', file({ a: f32(0, 8) }, 4), /tensor 'a' ends at byte 8 of 4; the file is truncated/],
    [
      'a wrong size',
      file({ a: { dtype: 'F32', shape: [3], data_offsets: [0, 8] } }),
      /tensor 'a' of shape \[3\] \(F32\) has 8 bytes instead of 12/,
    ],
    ['an unknown type', file({ a: { dtype: 'F8', shape: [8], data_offsets: [0, 8] } }), /element type 'F8'/],
    ['overlapping tensors', file({ a: f32(0, 8), b: f32(4, 8) }), /tensors 'a' and 'b' overlap/],
    ['a negative shape', file({ a: { dtype: 'F32', shape: [-2], data_offsets: [0, 8] } }), /no proper shape/],
  ])('%s is an error', (_, bytes, message) => {
    expect(() => parseSafetensors(bytes, 's')).toThrow(message);
    expect(() => parseSafetensors(bytes, 's')).toThrow(CheckpointError);
  });

  it('keeps a tensor whose name is that of the prototype', async () => {
    const path = join(folder, 'prototype.safetensors');
    await writeSafetensors(path, new Map([['__proto__', { shape: [2], dtype: 'I8' as const, data: Uint8Array.of(3, 4) }]]));
    expect([...(await readSafetensors(path)).tensors.get('__proto__')!.toBytes()]).toEqual([3, 4]);
  });

  it('any set of tensors survives a round trip; the data is aligned', async () => {
    const path = join(folder, 'any.safetensors');
    const tensor = fc.record({
      shape: fc.array(fc.nat(3), { maxLength: 3 }),
      dtype: fc.constantFrom('F32' as const, 'I8' as const, 'F16' as const, 'I64' as const),
    });
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), tensor, { maxKeys: 5 }), async (described) => {
        const sizes = { F32: 4, I8: 1, F16: 2, I64: 8 };
        const tensors = new Map(
          Object.entries(described)
            .filter(([name]) => name !== '__metadata__')
            .map(([name, { shape, dtype }]) => [
              name,
              {
                shape,
                dtype,
                data: Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) * sizes[dtype] }, (_, i) => i * 37),
              },
            ]),
        );
        await writeSafetensors(path, tensors, { note: 'x' });
        const read = await readSafetensors(path);
        expect(read.metadata).toEqual({ note: 'x' });
        expect([...read.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
        for (const [name, { shape, dtype, data }] of tensors) {
          const found = read.tensors.get(name)!;
          expect([found.shape, found.dtype, [...found.toBytes()]]).toEqual([shape, dtype, [...data]]);
          expect(found.bytes.byteOffset % sizes[dtype]).toBe(0);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('a tensor whose data does not fit its shape is not written', async () => {
    const path = join(folder, 'bad.safetensors');
    await expect(
      writeSafetensors(path, new Map([['w', { shape: [3], dtype: 'F32' as const, data: new Float32Array(2) }]])),
    ).rejects.toThrow(/'w' of shape \[3\] \(F32\) needs 12 bytes, not 8/);
    await expect(readSafetensors(path)).rejects.toThrow(/no such file/);
  });
});

describe('halves', () => {
  it('every half converts to a float and back to itself', () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((b) => (b & 0x7c00) !== 0x7c00 || (b & 0x3ff) === 0);
    expect(floatsToHalves(Float32Array.from(bits, halfToFloat))).toEqual(bits);
  });

  it('rounds to the nearest, ties to even', () => {
    const of = (value: number) => halfToFloat(floatsToHalves(Float32Array.of(value))[0]);
    expect(of(1 + 2 ** -11)).toBe(1);
    expect(of(1 + 3 * 2 ** -11)).toBe(1 + 2 ** -9);
    expect(of(65519)).toBe(65504);
    expect(of(65520)).toBe(Infinity);
    expect(of(2 ** -25)).toBe(0);
    expect(of(1.0001 * 2 ** -25)).toBe(2 ** -24);
    expect(of(-(2 ** -14) * (1 - 2 ** -12))).toBe(-(2 ** -14));
    expect(of(NaN)).toBeNaN();
  });
});

describe('TensorData', () => {
  it('reads big-endian and Fortran order, and refuses shapes beyond the bytes', () => {
    const bytes = Uint8Array.from([0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6]);
    const tensor = new TensorData(bytes, 'I16', [2, 3], { bigEndian: true, strides: [1, 2] });
    expect([...tensor.toFloat32()]).toEqual([1, 3, 5, 2, 4, 6]);
    expect([...tensor.toBytes()]).toEqual([1, 0, 3, 0, 5, 0, 2, 0, 4, 0, 6, 0]);
    expect(() => new TensorData(bytes, 'I16', [7])).toThrow(CheckpointError);
    expect(() => new TensorData(bytes, 'I16', [1e6, 1e6], { strides: [0, 0] })).toThrow(/needs more than the 12 bytes/);
  });

  it('drops and moves rows', () => {
    const tensor = new TensorData(new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer), 'F32', [3, 2]);
    expect([...tensor.dropRows(1).toFloat32()]).toEqual([2, 3, 4, 5]);
    expect([...tensor.firstRowLast().toFloat32()]).toEqual([2, 3, 4, 5, 0, 1]);
  });
});
