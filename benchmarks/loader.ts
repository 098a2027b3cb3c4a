import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { getConfig } from '../src/config/index.js';
import { readImage } from '../src/data/image_io/read_image.js';
import { trainSamplesFromConfig } from '../src/data/loader/index.js';
import type { Bench } from './bench.js';
import { seededRandom } from './random.js';

const PICTURES = 40;
const WORKERS = 2;
const BATCH = 4;

/** Pictures as photographs are in size and compression: smooth noise, JPEG of quality 90; seven round objects each. */
async function writeDataset(folder: string): Promise<string> {
  const random = seededRandom(5);
  const images = [];
  const annotations = [];
  for (let i = 0; i < PICTURES; i++) {
    const [width, height] = i % 4 === 0 ? [480, 640] : [640, 480];
    const raw = { width: width / 8, height: height / 8, channels: 3 as const };
    const noise = Uint8Array.from({ length: raw.width * raw.height * 3 }, () => 256 * random());
    const name = `${i}.jpg`;
    await sharp(noise, { raw }).resize(width, height, { kernel: 'cubic' }).jpeg({ quality: 90 }).toFile(join(folder, name));
    images.push({ id: i, file_name: name, width, height });
    for (let k = 0; k < 7; k++) {
      const [x, y] = [random() * (width - 80), random() * (height - 80)];
      const turns = Array.from({ length: 24 }, (_, a) => (a / 12) * Math.PI);
      const polygon = turns.flatMap((a) => [x + 40 + 40 * Math.cos(a), y + 40 + 40 * Math.sin(a)]);
      annotations.push({
        id: i * 10 + k + 1,
        image_id: i,
        category_id: 1,
        bbox: [x, y, 80, 80],
        iscrowd: 0,
        segmentation: [polygon],
      });
    }
  }
  const json = join(folder, 'instances.json');
  writeFileSync(json, JSON.stringify({ images, annotations, categories: [{ id: 1, name: 'thing' }] }));
  return json;
}

/** Training samples at a short side of 800 px from two threads, beside the decoder alone with two pictures at a time. */
export function loader800px(): Bench {
  return {
    name: 'loader_800px',
    input: `${PICTURES} JPEG pictures 640x480 through the loader (${WORKERS} threads, resized to 800 px, flipped), then decoded only, two at a time`,
    peers: [],
    inputs: {},
    options: {},
    async prepare() {
      const folder = mkdtempSync(join(tmpdir(), 'loader-bench-'));
      const json = await writeDataset(folder);
      const cfg = getConfig(undefined, ['MODEL.MASK_ON=True', `SOLVER.IMS_PER_BATCH=${BATCH}`]);
      const loader = await trainSamplesFromConfig(cfg, { json, images: folder, seed: 1, workers: WORKERS });
      return {
        async run() {
          const start = performance.now();
          for (let n = 0; n < PICTURES; n += BATCH) await loader.next();
          const middle = performance.now();
          const decode = (i: number) => readImage(join(folder, `${i}.jpg`), { format: 'BGR' });
          for (let i = 0; i < PICTURES; i += 2) await Promise.all([decode(i), decode(i + 1)]);
          const rate = (ms: number): number => Math.round((PICTURES / ms) * 10000) / 10;
          return { images_per_s: rate(middle - start), decoder_images_per_s: rate(performance.now() - middle) };
        },
        dispose() {
          void loader.close();
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  };
}
