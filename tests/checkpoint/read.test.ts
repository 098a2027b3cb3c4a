import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from '../properties.js';
import { describe, expect, it } from 'vitest';
import { parseCheckpoint, readCheckpoint } from '../../src/checkpoint/read.js';
import { CheckpointError } from '../../src/errors.js';
import { goldenFolder } from '../golden_folder.js';

const fixtures = fileURLToPath(new URL('../fixtures/checkpoint/', import.meta.url));
const bytesOf = (name: string) => new Uint8Array(readFileSync(join(fixtures, name)));
const expected = JSON.parse(readFileSync(join(fixtures, 'dtypes.json'), 'utf8')) as Record<
  string,
  { shape: number[]; values: number[] }
>;
const golden = goldenFolder();

describe('pickles of numpy arrays', () => {
  it.each([2, 3, 4, 5])('protocol %i: every dtype, byte order and memory order', async (protocol) => {
    const path = join(fixtures, `dtypes_protocol${protocol}.pkl`);
    for (const checkpoint of [await readCheckpoint(path), parseCheckpoint(bytesOf(`dtypes_protocol${protocol}.pkl`), path)]) {
      expect(checkpoint.format).toBe('detectron2-pkl');
      expect(checkpoint.metadata).toEqual({ __author__: 'fixture', matching_heuristics: 'false', score: '0.5' });
      expect([...checkpoint.tensors.keys()].sort()).toEqual([...Object.keys(expected), 'a.long'].sort());
      for (const [name, { shape, values }] of Object.entries(expected)) {
        const tensor = checkpoint.tensors.get(name)!;
        expect(tensor.shape, name).toEqual(shape);
        expect([...tensor.toFloat32()], name).toEqual(values);
      }
      const long = checkpoint.tensors.get('a.long')!.toFloat32();
      expect(long.every((value, i) => value === Math.fround(i / 7))).toBe(true);
    }
  });

  it.each([2, 3, 4, 5])('protocol %i: long arrays are views of the one buffer', async (protocol) => {
    const { tensors } = await readCheckpoint(join(fixtures, `dtypes_protocol${protocol}.pkl`));
    const long = tensors.get('a.long')!;
    expect(long.toFloat32().buffer).toBe(long.bytes.buffer);
    expect(long.bytes.buffer.byteLength).toBe(bytesOf(`dtypes_protocol${protocol}.pkl`).byteLength);
  });

  it('leaves the bytes of the caller alone', () => {
    const bytes = bytesOf('dtypes_protocol2.pkl');
    const before = bytes.slice();
    parseCheckpoint(bytes, 'x');
    expect(bytes).toEqual(before);
  });
});

describe('PyTorch archives', () => {
  it.each(['stored', 'deflated', 'zip64'])('%s', async (kind) => {
    const { tensors, format, metadata, ignored } = await readCheckpoint(join(fixtures, `${kind}.pth`));
    expect(format).toBe('pth');
    expect(metadata).toEqual({ iteration: '7' });
    expect(ignored).toEqual(['optimizer']);
    const numbers = (name: string) => [...tensors.get(name)!.toFloat32()];
    const count = Array.from({ length: 12 }, (_, i) => i);
    expect(numbers('t.plain')).toEqual(count);
    expect(numbers('t.parameter')).toEqual(count);
    expect(tensors.get('t.transposed')!.shape).toEqual([4, 3]);
    expect(numbers('t.transposed')).toEqual([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    expect(numbers('t.slice')).toEqual([5, 6, 9, 10]);
    expect(numbers('t.half')).toEqual(count);
    expect(numbers('t.bfloat')).toEqual(count);
    expect(numbers('t.count')).toEqual([7]);
  });
});

describe('bad files', () => {
  it('refuses a forbidden name and says which', async () => {
    await expect(readCheckpoint(join(fixtures, 'forbidden.pkl'))).rejects.toThrow(
      /forbidden\.pkl.*'__builtin__\.eval', which is not on the closed list/,
    );
  });

  it('names a missing, an empty and a foreign file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
    await expect(readCheckpoint(join(folder, 'none.pkl'))).rejects.toThrow(
      /none\.pkl: cannot open the weights: there is no such file/,
    );
    await expect(readCheckpoint(folder)).rejects.toThrow(/it is not a file/);
    writeFileSync(join(folder, 'empty.pkl'), '');
    await expect(readCheckpoint(join(folder, 'empty.pkl'))).rejects.toThrow(
      /empty\.pkl: cannot read the weights: the file is empty/,
    );
    writeFileSync(join(folder, 'page.pkl'), '<!DOCTYPE html><html><body>404</body></html>');
    await expect(readCheckpoint(join(folder, 'page.pkl'))).rejects.toThrow(/page\.pkl: not a weight file.*web page/);
  });

  it.each(['dtypes_protocol2.pkl', 'dtypes_protocol4.pkl', 'dtypes_protocol5.pkl', 'stored.pth'])(
    '%s truncated anywhere is an error that names it',
    (name) => {
      const bytes = bytesOf(name);
      for (let i = 0; i < 20; i++) {
        const length = Math.floor(((i + 0.37) / 20) * bytes.byteLength);
        const attempt = () => parseCheckpoint(bytes.slice(0, length), name, { ownsBytes: true });
        expect(attempt, `${length} bytes`).toThrow(CheckpointError);
        expect(attempt, `${length} bytes`).toThrow(name);
      }
    },
  );

  it.each(['dtypes_protocol2.pkl', 'dtypes_protocol4.pkl', 'dtypes_protocol5.pkl', 'stored.pth', 'zip64.pth'])(
    '%s with flipped bytes is an error or an answer',
    (name) => {
      const bytes = bytesOf(name);
      fc.assert(
        fc.property(
          fc.array(fc.tuple(fc.nat(bytes.byteLength - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 8 }),
          (flips) => {
            const damaged = bytes.slice();
            for (const [at, mask] of flips) damaged[at] ^= mask;
            try {
              for (const tensor of parseCheckpoint(damaged, name, { ownsBytes: true }).tensors.values()) tensor.toFloat32();
            } catch (error) {
              if (!(error instanceof CheckpointError) || !error.message.includes(name)) throw error;
            }
          },
        ),
        { numRuns: 500 },
      );
    },
  );

  it('limits nesting, memo lookups and persistent ids', () => {
    const attempt =
      (...bytes: number[]) =>
      () =>
        parseCheckpoint(Uint8Array.from([0x80, 2, ...bytes]), 'bad.pkl');
    expect(attempt(...new Array<number>(1001).fill(0x28))).toThrow(/nested deeper than 1000/);
    expect(attempt(0x68, 3, 0x2e)).toThrow(/memo entry 3 was never set/);
    expect(attempt(0x4e, 0x51, 0x2e)).toThrow(/persistent id/);
    expect(attempt(0x82, 1, 0x2e)).toThrow(/opcode 0x82/);
    expect(attempt(0x2e)).toThrow(/too few values/);
    expect(() => parseCheckpoint(Uint8Array.from([0x80, 0, 0x2e]), 'bad.pkl')).toThrow(/pickle protocol 0; protocols 2 to 5/);
  });

  it('shared dicts with more paths than bytes end in an error, quickly', () => {
    // Each dict holds the one before ten times: ten to the fifteenth paths.
    const codes = [0x80, 4, 0x7d, 0x94];
    for (let level = 1; level <= 15; level++) {
      codes.push(0x7d, 0x94);
      for (let i = 0; i < 10; i++) codes.push(0x4b, i, 0x68, level - 1, 0x73);
    }
    const start = performance.now();
    expect(() => parseCheckpoint(Uint8Array.from([...codes, 0x2e]), 'wide.pkl')).toThrow(/wide\.pkl: more than 200000 entries/);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it('many calls on one long argument end in an error', () => {
    const text = (value: string) => [0x8c, value.length, ...Buffer.from(value)];
    const codes = [
      0x80,
      4,
      0x5d,
      0x94,
      0x28,
      ...new Array<number>(10_000).fill(0x4e),
      0x65,
      0x30,
      ...text('builtins'),
      ...text('list'),
      0x93,
      0x94,
    ];
    for (let i = 0; i < 1000; i++) codes.push(0x68, 1, 0x68, 0, 0x85, 0x52);
    expect(() => parseCheckpoint(Uint8Array.from([...codes, 0x2e]), 'calls.pkl')).toThrow(
      /calls\.pkl.*more than 8000000 objects/,
    );
  });

  it('a key that is no name is an error', () => {
    const long = [0x58, 0, 0x20, 0, 0, ...new Array<number>(0x2000).fill(0x61)];
    expect(() => parseCheckpoint(Uint8Array.from([0x80, 2, 0x7d, ...long, 0x4e, 0x73, 0x2e]), 'key.pkl')).toThrow(
      /longer than any name/,
    );
  });

  it('a file of old torch.save is told apart', () => {
    const magic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
    expect(() => parseCheckpoint(Uint8Array.from(magic), 'old.pth')).toThrow(
      /old\.pth: a file of torch\.save before PyTorch 1\.6\. Convert it once/,
    );
  });

  it('a dict that holds itself is an error', () => {
    // {} memo 0; self['a'] = self
    expect(() =>
      parseCheckpoint(Uint8Array.from([0x80, 2, 0x7d, 0x71, 0, 0x58, 1, 0, 0, 0, 0x61, 0x68, 0, 0x73, 0x2e]), 'loop.pkl'),
    ).toThrow(/loop\.pkl: dicts nested deeper/);
  });
});

describe.skipIf(golden === undefined)('golden checkpoints (skipped without the golden folder)', () => {
  const models = join(golden ?? '', 'models');

  it.each(['R-50-backbone.pkl', 'full_model.pkl'])('Caffe2 %s has the names and bytes of Detectron2', async (file) => {
    const folder = join(models, '01_mask_rcnn_R_50_FPN_3x', 'c2');
    const map = (
      JSON.parse(readFileSync(join(folder, 'name_map.json'), 'utf8')) as Record<
        string,
        Record<string, { shape: number[]; sha256: string }>
      >
    )[file];
    const { tensors, format, ignored } = await readCheckpoint(join(folder, file));
    expect(format).toBe('caffe2-pkl');
    expect(ignored).toEqual(file === 'full_model.pkl' ? [] : ['conv1_b', 'fc1000_w', 'fc1000_b', 'conv1_w_momentum']);
    expect([...tensors.keys()].filter((name) => !/running_(mean|var)$/.test(name)).sort()).toEqual(Object.keys(map).sort());
    for (const [name, { shape, sha256 }] of Object.entries(map)) {
      const tensor = tensors.get(name)!;
      const values = tensor.toFloat32();
      expect(tensor.shape, name).toEqual(shape);
      expect(
        createHash('sha256')
          .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
          .digest('hex'),
        name,
      ).toBe(sha256);
    }
    const variance = tensors.get('backbone.bottom_up.stem.conv1.norm.running_var')!.toFloat32();
    expect([...new Set(variance)]).toEqual([Math.fround(1 - 1e-5)]);
  });

  it.each([
    ['01_mask_rcnn_R_50_FPN_3x', 2, 314],
    ['02_mask_rcnn_R_101_FPN_3x', 3, 562],
    ['03_mask_rcnn_X_101_32x8d_FPN_3x', 4, 562],
    ['04_faster_rcnn_R_50_FPN_3x', 5, 295],
  ])('%s (protocol %i) truncated is an error that names it', async (model, _protocol, count) => {
    const path = join(models, model, 'model_final.pkl');
    const bytes = new Uint8Array(readFileSync(path));
    expect(parseCheckpoint(bytes, path).tensors.size).toBe(count);
    for (let i = 0; i < 20; i++) {
      const cut = bytes.subarray(0, Math.floor(((i + 0.61) / 20) * bytes.byteLength));
      expect(() => parseCheckpoint(cut, path)).toThrow(`${path}: cannot read the pickle`);
    }
  });
});
