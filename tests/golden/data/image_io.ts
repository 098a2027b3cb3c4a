import { join } from 'node:path';
import { rgbToYuv } from '../../../src/data/image_io/pixel_formats.js';
import { readImage, readStoredSamples } from '../../../src/data/image_io/read_image.js';
import { compareTensor, type Line } from '../compare.js';
import { SafetensorsFile } from '../safetensors_file.js';
import { readJson } from './json_file.js';

interface Entry {
  file: string;
  formats: Record<string, { key: string; shape: number[] }>;
  tolerance: { max_abs?: number; mean_abs?: number };
}

/** Every picture in every format that the project reads; a result without a last axis of one channel counts as the same shape. */
export async function runImageIo(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const { images } = readJson<{ images: Entry[] }>(folder, 'manifest.json');
  const file = new SafetensorsFile(join(folder, 'expected.safetensors'));
  for (const image of images) {
    for (const [format, entry] of Object.entries(image.formats)) {
      const name = entry.key;
      try {
        const ours = await readAs(join(folder, image.file), format);
        const expected = file.get(entry.key);
        const shape =
          expected.shape.length === 2 && ours.channels === 1
            ? [ours.height, ours.width]
            : [ours.height, ours.width, ours.channels];
        const { max_abs, mean_abs } = image.tolerance;
        const abs = format.startsWith('YUV') ? 1e-12 : (max_abs ?? Infinity);
        const tolerance = { abs, ...(mean_abs === undefined ? {} : { mean: mean_abs }) };
        add(compareTensor({ case: caseName, name }, { shape, data: ours.data }, expected, tolerance));
      } catch (error) {
        add({ case: caseName, name, ok: false, note: error instanceof Error ? error.message : String(error) });
      }
    }
  }
}

/** Detectron2's `read_image(file, format)`, `None` being the file's own samples. */
async function readAs(
  path: string,
  format: string,
): Promise<{ data: ArrayLike<number>; height: number; width: number; channels: number }> {
  if (format === 'None') return readStoredSamples(path);
  if (format !== 'YUV-BT.601') return readImage(path, { format: format as 'BGR' | 'RGB' | 'L' });
  const image = await readImage(path, { format: 'RGB' });
  return { ...image, data: rgbToYuv(image) };
}
