import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseSafetensors } from '../../../src/checkpoint/parse_safetensors.js';
import { readImage } from '../../../src/data/image_io/read_image.js';
import { resizeBilinearZeros } from '../../../src/data/resize/resize_zeros.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/matterport/${name}`, import.meta.url));
const { tensors } = parseSafetensors(new Uint8Array(readFileSync(fixture('golden.safetensors'))), 'golden.safetensors');

describe('resizeBilinearZeros', () => {
  it.each([
    ['enlarged', 0],
    ['made smaller', 1],
  ])("a picture that is %s has scikit-image's bytes", async (_, i) => {
    const image = await readImage(fixture(`${i}.png`), { format: 'RGB' });
    const truth = tensors.get(`resized.${i}`)!;
    const [height, width] = truth.shape as [number, number];
    const own = resizeBilinearZeros(image, height, width);
    expect(Buffer.compare(own, truth.toBytes())).toBe(0);
  });

  it('darkens the border, but not below the darkest value', () => {
    const data = Uint8Array.of(200, 200, 200, 160, 160, 160);
    // Two pixels on four: at -1/4, 1/4, 3/4 and 5/4 of a pixel, at 1/4 outside three quarters of the value are left.
    const row = [...resizeBilinearZeros({ data, height: 1, width: 2 }, 1, 4)].filter((_, i) => i % 3 === 0);
    expect(row).toEqual([160, 190, 170, 160]);
  });
});
