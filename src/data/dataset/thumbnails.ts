import { join } from 'node:path';
import type { CocoImage } from '../coco/coco_types.js';

/**
 * Small copies of pictures as `data:` addresses (JPEG), orientation applied.
 *
 * @param side longest side in pixels
 * @returns by image id; pictures that cannot be read are absent
 */
export async function thumbnails(
  images: readonly CocoImage[],
  folder: string,
  side: number,
  onProgress?: (done: number) => void,
): Promise<Map<number, string>> {
  const { default: sharp } = await import('sharp');
  const out = new Map<number, string>();
  let done = 0;
  for (const image of images) {
    try {
      const bytes = await sharp(join(folder, image.file_name))
        .autoOrient()
        .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
        .flatten()
        .jpeg({ quality: 78 })
        .toBuffer();
      out.set(image.id, `data:image/jpeg;base64,${bytes.toString('base64')}`);
    } catch {
      // The page says which pictures are missing; "dataset check" says why.
    }
    onProgress?.(++done);
  }
  return out;
}
