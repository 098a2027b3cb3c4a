import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { joinParts } from '../../src/sharding/join_parts.js';
import { partName, PartWriter, readPart, type PartAbout } from '../../src/sharding/part_file.js';
import fc from '../properties.js';

const about: PartAbout = { command: 'evaluate', images: 4, same: { weights: 'ab' } };
const shard = { index: 1, count: 2 };
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'parts-'))));
afterEach(() => rmSync(folder, { recursive: true }));

async function write(values: Record<number, string>, of = shard, what = about): Promise<string> {
  const part = await PartWriter.open<string>(folder, of, what);
  for (const [image, value] of Object.entries(values)) await part.append(Number(image), value);
  await part.close();
  return part.path;
}

describe('a part', () => {
  it('is a header and a line an image', async () => {
    const path = await write({ 3: 'c', 5: 'e' });
    expect(readFileSync(path, 'utf8')).toBe(
      '{"format":"maskrcnn-part-2","command":"evaluate","images":4,"same":{"weights":"ab"},"shard":{"index":1,"count":2}}\n' +
        '{"image":3,"value":"c"}\n{"image":5,"value":"e"}\n',
    );
    expect(partName({ index: 12, count: 100_000 })).toBe('part_000012_of_100000.jsonl');
  });

  it('cut anywhere loses the torn record alone, and goes on', async () => {
    const path = await write({ 3: 'c', 5: 'é\n"' });
    const whole = readFileSync(path);
    const headerEnds = whole.indexOf('\n') + 1;
    const firstEnds = whole.indexOf('\n', headerEnds) + 1;
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), async (length) => {
        writeFileSync(path, whole.subarray(0, length));
        const expected = length >= whole.length ? [3, 5] : length >= firstEnds ? [3] : [];
        const part = await PartWriter.open<string>(folder, shard, about);
        expect([...part.records.keys()]).toEqual(expected);
        for (const [image, value] of [[3, 'c'], [5, 'é\n"']] as const) if (!part.records.has(image)) await part.append(image, value); // prettier-ignore
        await part.close();
        expect(readFileSync(path)).toEqual(whole);
      }),
    );
  });

  it('counts what is torn, and lets the later of two records count', async () => {
    const path = await write({ 3: 'c' });
    appendFileSync(path, '\0\0\0\n{"image":3,"value":"d"}\n{"ima');
    const part = await readPart<string>(path);
    expect(part!.torn).toBe(2);
    expect([...part!.records]).toEqual([[3, 'd']]);
  });

  it('is refused beside parts of other work', async () => {
    await write({ 3: 'c' });
    const other = { ...about, same: { weights: 'cd' } };
    await expect(PartWriter.open(folder, { index: 0, count: 2 }, other)).rejects.toThrow(
      /part_0001_of_0002.jsonl and this run do not belong together: weights is ab in the one and cd in the other/,
    );
    await expect(PartWriter.open(folder, { index: 0, count: 3 }, about)).rejects.toThrow(/of 2 shards, not of 3/);
    writeFileSync(join(folder, 'part_0000_of_0002.jsonl'), '{"a":1}\n{}\n');
    await expect(PartWriter.open(folder, { index: 0, count: 2 }, about)).rejects.toThrow(/not a part that --shard wrote/);
  });
});

describe('joinParts', () => {
  it('has the records of all parts', async () => {
    await write({ 3: 'c' });
    await write({ 1: 'a' }, { index: 0, count: 2 });
    const { records, shards } = await joinParts<string>(folder);
    expect(shards).toBe(2);
    expect(Object.fromEntries(records)).toEqual({ 1: 'a', 3: 'c' });
  });

  it('names the parts that are missing, or that hold nothing', async () => {
    await expect(joinParts(folder)).rejects.toThrow(/holds no parts/);
    await write({ 3: 'c' });
    await expect(joinParts(folder)).rejects.toThrow(/lacks part_0000_of_0002.jsonl: run the missing shards/);
    writeFileSync(join(folder, 'part_0000_of_0002.jsonl'), '{"format":"maskr');
    await expect(joinParts(folder)).rejects.toThrow(/lacks part_0000_of_0002.jsonl/);
  });

  it('refuses parts that do not belong together', async () => {
    await write({ 3: 'c' });
    rmSync(join(folder, 'part_0001_of_0002.jsonl'));
    await write({ 3: 'c' }, { index: 0, count: 2 });
    const text = readFileSync(join(folder, 'part_0000_of_0002.jsonl'), 'utf8');
    writeFileSync(join(folder, 'part_0001_of_0002.jsonl'), text.replace('"ab"', '"cd"'));
    await expect(joinParts(folder)).rejects.toThrow(/weights is cd in the one and ab in the other/);
  });
});
