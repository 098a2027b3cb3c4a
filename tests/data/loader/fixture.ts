import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { Random } from '../../../src/data/random.js';

/** A COCO set of noise pictures, some lying and some upright, each with polygons, run lengths and a crowd; the last one without objects. */
export async function writeDataset(pictures = 7): Promise<{ folder: string; json: string; images: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'loader-'));
  const random = new Random(11);
  const images = [];
  const annotations = [];
  for (let id = 1; id <= pictures; id++) {
    const width = id % 3 === 0 ? 40 : 64;
    const height = id % 3 === 0 ? 60 : 48;
    const data = Buffer.from(Uint8Array.from({ length: width * height * 3 }, () => random.integer(256)));
    const name = `picture_${id}.png`;
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(join(folder, name));
    images.push({ id, file_name: name, width, height });
    if (id === pictures) continue;
    const base = { image_id: id, category_id: id % 2 === 0 ? 7 : 3, iscrowd: 0, area: 100 };
    annotations.push({
      ...base,
      id: id * 10,
      bbox: [4, 6, 20, 10],
      segmentation: [[4, 6, 24, 6, 24, 16, 4, 16]],
    });
    const counts = [2 * height + 3, 5, height - 5, 5, width * height - 3 * height - 8 - 5];
    counts[4] = width * height - counts.slice(0, 4).reduce((a, b) => a + b, 0);
    annotations.push({ ...base, id: id * 10 + 1, bbox: [2, 3, 2, 5], segmentation: { size: [height, width], counts } });
    annotations.push({
      ...base,
      id: id * 10 + 2,
      bbox: [0, 0, 9, 9],
      iscrowd: 1,
      segmentation: { size: [height, width], counts },
    });
  }
  const categories = [
    { id: 7, name: 'seven' },
    { id: 3, name: 'three' },
  ];
  const json = join(folder, 'instances.json');
  writeFileSync(json, JSON.stringify({ images, annotations, categories }));
  return { folder, json, images: folder };
}
