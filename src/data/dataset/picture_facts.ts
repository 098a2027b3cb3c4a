import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ImageError } from '../../errors.js';
import type { CocoImage } from '../coco/coco_types.js';
import { readImage } from '../image_io/read_image.js';
import type { PictureFacts } from './check_dataset.js';

/**
 * Opens and decodes every picture, four at a time: only decoding finds files that were cut short.
 *
 * @param folder what file names are relative to
 * @param onProgress called with the pictures done so far
 */
export async function pictureFacts(
  images: readonly CocoImage[],
  folder: string,
  onProgress?: (done: number) => void,
): Promise<Map<number, PictureFacts>> {
  const out = new Map<number, PictureFacts>();
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < images.length) {
      const image = images[next++]!;
      out.set(image.id, await factsOf(join(folder, image.file_name)));
      onProgress?.(++done);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return out;
}

async function factsOf(path: string): Promise<PictureFacts> {
  try {
    await stat(path);
  } catch {
    return { problem: 'missing_image', message: `'${path}' does not exist` };
  }
  try {
    const { width, height } = await readImage(path);
    return { width, height };
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return { problem: 'unreadable_image', message: error.message };
  }
}
