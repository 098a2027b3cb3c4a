import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { readImage } from '../../../src/data/image_io/read_image.js';
import { ArgumentError, ImageError } from '../../../src/errors.js';
import { SafetensorsFile } from '../../golden/safetensors_file.js';

const fixtures = fileURLToPath(new URL('../../fixtures/image_io/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'read-image-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('readImage reads what Detectron2 reads', () => {
  const expected = new SafetensorsFile(join(fixtures, 'expected.safetensors'));
  const manifest = JSON.parse(readFileSync(join(fixtures, 'manifest.json'), 'utf8')) as {
    file: string;
    tolerance: { max_abs?: number; mean_abs?: number };
  }[];

  it.each(manifest)('$file', async ({ file, tolerance }) => {
    for (const format of ['RGB', 'L'] as const) {
      const image = await readImage(join(fixtures, file), { format });
      const golden = expected.get(`${file}/${format}`);
      expect([image.height, image.width, image.channels]).toEqual(golden.shape);
      let largest = 0;
      let sum = 0;
      golden.data.forEach((value, i) => {
        const difference = Math.abs(value - image.data[i]);
        largest = Math.max(largest, difference);
        sum += difference;
      });
      expect(largest).toBeLessThanOrEqual(tolerance.max_abs ?? 255);
      expect(sum / golden.data.length).toBeLessThanOrEqual(tolerance.mean_abs ?? 0);
    }
  });

  it('gives BGR as RGB reversed, from bytes as from a path', async () => {
    const path = join(fixtures, 'rgb16.png');
    const rgb = await readImage(path);
    const bgr = await readImage(readFileSync(path), { format: 'BGR' });
    expect(rgb.format).toBe('RGB');
    expect(bgr.format).toBe('BGR');
    for (let i = 0; i < rgb.data.length; i += 3) {
      expect([...bgr.data.subarray(i, i + 3)]).toEqual([...rgb.data.subarray(i, i + 3)].reverse());
    }
  });
});

describe('readImage reads the other containers', () => {
  const samples = Uint8Array.from({ length: 6 * 4 * 3 }, (_, i) => (i * 37) % 256);
  const source = () => sharp(samples, { raw: { width: 6, height: 4, channels: 3 } });

  it('lossless WebP, TIFF and GIF exactly', async () => {
    for (const bytes of [
      await source().webp({ lossless: true }).toBuffer(),
      await source().tiff({ compression: 'lzw' }).toBuffer(),
    ]) {
      const image = await readImage(bytes);
      expect([image.height, image.width, image.channels]).toEqual([4, 6, 3]);
      expect(image.data).toEqual(samples);
    }
    const flat = await sharp({ create: { width: 5, height: 3, channels: 3, background: '#0a8c28' } })
      .gif()
      .toBuffer();
    expect([...(await readImage(flat)).data.subarray(0, 3)]).toEqual([10, 140, 40]);
  });

  it('AVIF closely', async () => {
    const flat = await sharp({ create: { width: 16, height: 16, channels: 3, background: '#0a8c28' } })
      .avif({ quality: 90 })
      .toBuffer();
    const { data } = await readImage(flat);
    [10, 140, 40].forEach((value, i) => expect(Math.abs(data[i] - value)).toBeLessThanOrEqual(3));
  });

  it('the first frame of a moving GIF', async () => {
    const frames = Uint8Array.from({ length: 4 * 4 * 2 * 3 }, (_, i) => (i < 48 ? 200 : 30));
    const moving = await sharp(frames, { raw: { width: 4, height: 8, channels: 3, pageHeight: 4 } })
      .gif()
      .toBuffer();
    expect((await sharp(moving).metadata()).pages).toBe(2);
    const image = await readImage(moving, { format: 'L' });
    expect([image.height, image.width]).toEqual([4, 4]);
    expect([...image.data]).toEqual(new Array(16).fill(200));
  });
});

describe('readImage names the file and says what is wrong', () => {
  async function messageOf(source: string | Uint8Array, options?: Parameters<typeof readImage>[1]): Promise<string> {
    const error = await readImage(source, options).then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(ImageError);
    return (error as Error).message;
  }

  it('a file that is not there, and a folder', async () => {
    expect(await messageOf('no/such/picture.jpg')).toBe("'no/such/picture.jpg' does not exist; check the path");
    expect(await messageOf(folder)).toBe(`'${folder}' is a folder; expected an image file`);
  });

  it('an empty file and empty bytes', async () => {
    const path = file('empty.png', '');
    expect(await messageOf(path)).toBe(`'${path}' is empty (0 bytes); expected a JPEG, PNG, WebP, AVIF, GIF, TIFF file`);
    expect(await messageOf(new Uint8Array(0))).toContain('image (0 bytes) is empty');
  });

  it('a file that is no image, and a kind that is not read', async () => {
    const text = file('notes.jpg', 'hello, world, this is text');
    expect(await messageOf(text)).toBe(
      `'${text}' is not an image that can be read (it starts with 68 65 6c 6c 6f 2c 20 77); expected JPEG, PNG, WebP, AVIF, GIF, TIFF`,
    );
    const svg = file('drawing.svg', '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>');
    expect(await messageOf(svg)).toBe(
      `'${svg}' is a svg file, which is not read here; expected JPEG, PNG, WebP, AVIF, GIF, TIFF`,
    );
  });

  it.each(['rgb.png', 'baseline_444.jpg', 'progressive_444.jpg', 'gray16.png', 'cmyk.jpg'])(
    '%s cut short anywhere',
    async (name) => {
      const whole = readFileSync(join(fixtures, name));
      for (const part of [0.02, 0.3, 0.6, 0.9]) {
        const path = file(`cut_${name}`, whole.subarray(0, Math.floor(whole.length * part)));
        expect(await messageOf(path)).toMatch(/^'.*cut_.*' (is|starts like a (PNG|JPEG) file but is) damaged or cut short: /);
      }
    },
  );

  it('a picture over the limit, before it is decoded', async () => {
    const path = join(fixtures, 'rgb.png');
    expect(await messageOf(path, { maxPixels: 1000 })).toBe(
      `'${path}' is too large: 29 x 48 = 1392 pixels, the limit is 1000; make it smaller or raise maxPixels`,
    );
    // A header that claims 60000 x 60000 pixels.
    const bomb = Uint8Array.from(readFileSync(path));
    new DataView(bomb.buffer).setUint32(16, 60000);
    new DataView(bomb.buffer).setUint32(20, 60000);
    const { crc32 } = await import('node:zlib');
    if (crc32) new DataView(bomb.buffer).setUint32(29, crc32(bomb.subarray(12, 29)));
    expect(await messageOf(bomb)).toMatch(/^image \(\d+ bytes\) (is too large: 60000 x 60000|starts like a PNG)/);
  });

  it('options that cannot be honoured', async () => {
    await expect(readImage('x.png', { format: 'HSV' as 'RGB' })).rejects.toThrow(ArgumentError);
    await expect(readImage('x.png', { maxPixels: 0 })).rejects.toThrow('maxPixels must be a positive number, not 0');
  });
});
