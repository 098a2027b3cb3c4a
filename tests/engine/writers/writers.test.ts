import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConsoleWriter } from '../../../src/engine/writers/console_writer.js';
import { crc32c } from '../../../src/engine/writers/event_file.js';
import { JsonLinesWriter, readMetrics } from '../../../src/engine/writers/json_lines_writer.js';
import { TensorBoardWriter } from '../../../src/engine/writers/tensorboard_writer.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'writers-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** CRC-32C bit by bit, from its polynomial. */
function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) {
      const carry = (crc ^ (byte >>> bit)) & 1;
      crc = carry ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    }
  return ~crc >>> 0;
}

const mask = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** Fields of a protobuf message: number, wire type, content. */
function fields(data: Buffer): { field: number; bytes: Buffer; value: number }[] {
  const out: { field: number; bytes: Buffer; value: number }[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = data[at++]!;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const tag = varint();
    const wire = tag & 7;
    const size = wire === 0 ? 0 : wire === 1 ? 8 : wire === 5 ? 4 : varint();
    const value = wire === 0 ? varint() : wire === 1 ? data.readDoubleLE(at) : wire === 5 ? data.readFloatLE(at) : NaN;
    out.push({ field: tag >>> 3, bytes: data.subarray(at, at + size), value });
    at += size;
  }
  return out;
}

/** Reads an event file, checking both checksums of every record. */
function readEvents(file: Buffer): { time: number; step: number; version?: string; scalars: Record<string, number> }[] {
  const events = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    expect(file.readUInt32LE(at + 8)).toBe(mask(slowCrc(file.subarray(at, at + 8))));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 12 + length)).toBe(mask(slowCrc(data)));
    at += 16 + length;
    const parts = fields(data);
    const values = parts.filter((p) => p.field === 5).flatMap((p) => fields(p.bytes).map((v) => fields(v.bytes)));
    const version = parts.find((p) => p.field === 3)?.bytes.toString();
    events.push({
      time: parts.find((p) => p.field === 1)!.value,
      step: parts.find((p) => p.field === 2)?.value ?? 0,
      ...(version === undefined ? {} : { version }),
      scalars: Object.fromEntries(
        values.map((v) => [v.find((f) => f.field === 1)!.bytes.toString(), v.find((f) => f.field === 2)!.value]),
      ),
    });
  }
  return events;
}

describe('TensorBoardWriter', () => {
  it('knows the check value of CRC-32C', () => {
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
  });

  it('writes events that a reader of the format reads back', async () => {
    const writer = new TensorBoardWriter(folder, () => 1700000000.5);
    await writer.open();
    await writer.write(19, { total_loss: 1.5, 'segm/AP': 12.25 });
    await writer.write(70000, { lr: 0.0025 });
    const [name] = await readdir(folder);
    expect(name).toMatch(/^events\.out\.tfevents\.1700000000\./);
    const events = readEvents(await readFile(join(folder, name!)));
    expect(events[0]).toMatchObject({ time: 1700000000.5, version: 'brain.Event:2' });
    expect(events[1]).toMatchObject({ time: 1700000000.5, step: 19, scalars: { total_loss: 1.5, 'segm/AP': 12.25 } });
    expect(events[2]).toMatchObject({ step: 70000, scalars: { lr: Math.fround(0.0025) } });
  });

  const python = process.env.PYTHON ?? 'python3';
  const hasTensorboard = (() => {
    try {
      execFileSync(python, ['-c', 'import tensorboard'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  })();

  it.skipIf(!hasTensorboard)('writes events that tensorboard itself reads', async () => {
    const writer = new TensorBoardWriter(folder);
    await writer.open();
    await writer.write(3, { total_loss: 1.5 });
    const script = [
      'import sys',
      'from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as A',
      'a = A(sys.argv[1]); a.Reload()',
      "print([(e.step, e.value) for e in a.Scalars('total_loss')])",
    ].join('\n');
    expect(execFileSync(python, ['-c', script, folder]).toString().trim()).toBe('[(3, 1.5)]');
  });
});

describe('JsonLinesWriter', () => {
  it('writes a row a line without NaN, and drops on resume what comes again', async () => {
    const path = join(folder, 'metrics.jsonl');
    const writer = new JsonLinesWriter(path);
    await writer.open(0);
    await writer.write(9, { lr: 0.5, bad: NaN });
    await writer.write(19, { lr: 0.25 });
    // As a killed process leaves it.
    await writeFile(path, '{"iteration": 2', { flag: 'a' });
    await new JsonLinesWriter(path).open(10);
    expect(await readMetrics(path)).toEqual([{ iteration: 9, lr: 0.5 }]);
  });
});

describe('ConsoleWriter', () => {
  it('prints one line, and another for results', () => {
    const lines: string[] = [];
    const writer = new ConsoleWriter((line) => lines.push(line));
    writer.write(19, {
      total_loss: 1.5,
      loss_cls: 1,
      loss_mask: 0.5,
      lr: 0.02,
      time: 0.5,
      data_time: 0.01,
      eta_seconds: 93784,
      memory_mb: 512,
    });
    writer.write(39, { 'segm/AP': 41.5, 'segm/AP-cat': 50 });
    expect(lines).toEqual([
      'eta: 1 day, 2:03:04  iter: 19  total_loss: 1.500  loss_cls: 1.000  loss_mask: 0.5000  time: 0.5000  data_time: 0.0100  lr: 0.020000  mem: 512M',
      'iter: 39  segm/AP: 41.500',
    ]);
  });
});
