import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discover } from './discover.js';
import { runGolden } from './run.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'golden-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The smallest safetensors file: float32 tensors only. */
function writeTensors(path: string, tensors: Record<string, { shape: number[]; values: number[] }>): void {
  let end = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape, data_offsets: [end, (end += values.length * 4)] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const data = Float32Array.from(Object.values(tensors).flatMap((t) => t.values));
  writeFileSync(path, Buffer.concat([length, text, Buffer.from(data.buffer)]));
}

function writeBatchedNms(keep: number[]): void {
  const boxes = [0, 0, 10, 10, 1, 0, 11, 10, 20, 20, 30, 30];
  const tensors = { 'a.in.boxes': { shape: [3, 4], values: boxes }, 'a.in.scores': { shape: [3], values: [0.5, 0.9, 0.7] } };
  writeTensors(join(folder, 'any_name.safetensors'), { ...tensors, 'a.out.keep': { shape: [keep.length], values: keep } });
  const entry = (name: string) => ({ tensor: name, dtype: 'float32' });
  const a = {
    name: 'a',
    params: { iou_threshold: 0.5 },
    inputs: { boxes: entry('a.in.boxes'), scores: entry('a.in.scores') },
    outputs: { keep: entry('a.out.keep') },
    atol: 0,
  };
  writeFileSync(join(folder, 'any_name.json'), JSON.stringify({ op: 'batched_nms', file: 'any_name.safetensors', cases: [a] }));
}

async function run(options: { json?: boolean } = {}): Promise<{ code: number; lines: string[] }> {
  let text = '';
  const code = await runGolden([folder], { backend: 'cpu', write: (t) => (text += t), ...options });
  return { code, lines: text.trim().split('\n') };
}

describe('golden runner', () => {
  it('finds ops by their field, models and data by their files, under any names', () => {
    writeBatchedNms([1, 2]);
    writeFileSync(join(folder, 'other.json'), '{"rows": []}');
    mkdirSync(join(folder, 'deep/model_x'), { recursive: true });
    writeFileSync(join(folder, 'deep/model_x/golden.json'), '{}');
    writeFileSync(join(folder, 'deep/model_x/config.yaml'), '');
    mkdirSync(join(folder, 'deep/somewhere'));
    writeFileSync(join(folder, 'deep/somewhere/manifest.json'), '{"images": []}');
    writeFileSync(join(folder, 'deep/somewhere/expected.safetensors'), '');
    expect(discover([folder]).map((f) => [f.kind, 'format' in f ? f.format : 'op' in f ? f.op : ''])).toEqual([
      ['ops', 'batched_nms'],
      ['model', ''],
      ['data', 'image_io'],
    ]);
    expect(() => discover([join(folder, 'nowhere')])).toThrow('no such folder');
  });

  it('passes equal numbers with exit code 0', async () => {
    writeBatchedNms([1, 2]);
    const { code, lines } = await run();
    expect(code).toBe(0);
    expect(lines).toEqual(['ops/batched_nms/a  keep  abs 0  rel 0  tol exact  ok', '1 passed, 0 failed, 0 unsupported']);
  });

  it('fails other numbers with exit code 1', async () => {
    writeBatchedNms([1, 0]);
    const { code, lines } = await run();
    expect(code).toBe(1);
    expect(lines[0]).toContain('FAIL');
    expect(lines.at(-1)).toBe('0 passed, 1 failed, 0 unsupported');
  });

  it('says what it cannot run, and never calls it ok', async () => {
    writeFileSync(
      join(folder, 'x.json'),
      JSON.stringify({ op: 'no_such_op', cases: [{ name: 'b', params: {}, inputs: {}, outputs: {}, atol: 0 }] }),
    );
    const { code, lines } = await run({ json: true });
    expect(code).toBe(0);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      case: 'ops/no_such_op/b',
      status: 'unsupported',
      note: 'not in the project yet',
    });
    expect(JSON.parse(lines[1]!)).toEqual({ passed: 0, failed: 0, unsupported: 1 });
  });
});
