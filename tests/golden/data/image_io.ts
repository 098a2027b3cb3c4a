import { join } from 'node:path';
import { readImage } from '../../../src/data/image_io/read_image.js';
import { compareTensor, unsupported, type Line } from '../compare.js';
import { SafetensorsFile } from '../safetensors_file.js';
import { NOT_YET } from '../unsupported.js';
import { readJson } from './json_file.js';

interface Entry {
  file: string;
  formats: Record<string, { key: string; shape: number[] }>;
  tolerance: { max_abs?: number; mean_abs?: number };
}

const FORMATS = new Set(['BGR', 'RGB', 'L']);

/** Every picture in every format that the project reads; a result without a last axis of one channel counts as the same shape. */
export async function runImageIo(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const { images } = readJson<{ images: Entry[] }>(folder, 'manifest.json');
  const file = new SafetensorsFile(join(folder, 'expected.safetensors'));
  for (const image of images) {
    for (const [format, entry] of Object.entries(image.formats)) {
      const name = entry.key;
      if (!FORMATS.has(format)) {
        add(unsupported(caseName, name, `format ${format} is ${NOT_YET}`));
        continue;
      }
      try {
        const ours = await readImage(join(folder, image.file), { format: format as 'BGR' | 'RGB' | 'L' });
        const expected = file.get(entry.key);
        const shape =
          expected.shape.length === 2 && ours.channels === 1
            ? [ours.height, ours.width]
            : [ours.height, ours.width, ours.channels];
        const { max_abs, mean_abs } = image.tolerance;
        const tolerance = { abs: max_abs ?? Infinity, ...(mean_abs === undefined ? {} : { mean: mean_abs }) };
        add(compareTensor({ case: caseName, name }, { shape, data: ours.data }, expected, tolerance));
      } catch (error) {
        add({ case: caseName, name, ok: false, note: error instanceof Error ? error.message : String(error) });
      }
    }
  }
}
