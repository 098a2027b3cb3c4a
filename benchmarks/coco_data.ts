import type { CocoAnnotation, CocoDataset, CocoResult } from '../src/data/coco/coco_types.js';
import { polygonToRle } from '../src/data/rle/polygon_to_rle.js';
import { rleArea, rleToBox } from '../src/data/rle/rle.js';
import { rleToCoco } from '../src/data/rle/segmentation.js';
import { seededRandom } from './random.js';

const HEIGHT = 480;
const WIDTH = 640;

/** How much is generated. */
export interface CocoDataSize {
  images: number;
  objects: number;
  categories: number;
  /** Per image. */
  detections: number;
}

/** As much as COCO's val2017 with the usual 100 detections an image. */
export const VAL2017: CocoDataSize = { images: 5000, objects: 36000, categories: 80, detections: 100 };

/** A tenth of it, for a quick look. */
export const TENTH: CocoDataSize = { images: 500, objects: 3600, categories: 80, detections: 100 };

interface Blob {
  x: number;
  y: number;
  radius: number;
  lobes: number;
  category: number;
}

/**
 * A data set with wobbly round objects of all sizes as polygons (one in 50 a crowd, as run lengths), and detections: about one in three a displaced
 * object, half of those of the right class, the others anywhere. Boxes and masks belong together; scores favour detections that are near.
 */
export function cocoData(size: CocoDataSize): { dataset: CocoDataset; results: CocoResult[] } {
  const random = seededRandom(11);
  const between = (low: number, high: number): number => low + random() * (high - low);
  const images = Array.from({ length: size.images }, (_, i) => ({
    id: i + 1,
    file_name: `${i}.jpg`,
    height: HEIGHT,
    width: WIDTH,
  }));
  const categories = Array.from({ length: size.categories }, (_, i) => ({ id: i + 1, name: `class ${i}` }));
  const annotations: CocoAnnotation[] = [];
  const results: CocoResult[] = [];
  const blob = (): Blob => ({
    x: between(20, WIDTH - 20),
    y: between(20, HEIGHT - 20),
    radius: Math.exp(between(Math.log(5), Math.log(140))),
    lobes: 2 + Math.floor(random() * 4),
    // The square makes some classes frequent and some rare.
    category: 1 + Math.floor(random() * random() * size.categories),
  });
  for (let i = 0; i < size.images; i++) {
    const from = Math.floor((i * size.objects) / size.images);
    const to = Math.floor(((i + 1) * size.objects) / size.images);
    const blobs = Array.from({ length: to - from }, blob);
    for (const b of blobs) {
      const id = annotations.length + 1;
      const polygon = outline(b, 24 + Math.floor(random() * 40));
      const rle = polygonToRle(polygon, HEIGHT, WIDTH);
      const crowd = random() < 0.02;
      annotations.push({
        id,
        image_id: i + 1,
        category_id: b.category,
        bbox: rleToBox(rle),
        area: rleArea(rle),
        iscrowd: crowd ? 1 : 0,
        segmentation: crowd ? { size: [HEIGHT, WIDTH], counts: Array.from(rle.counts) } : [polygon],
      });
    }
    for (let d = 0; d < size.detections; d++) {
      const near = blobs.length > 0 && random() < 0.35;
      const of = near ? blobs[Math.floor(random() * blobs.length)]! : blob();
      const shift = near ? of.radius * 0.4 * random() : 0;
      const right = near && random() < 0.5;
      const moved: Blob = {
        x: of.x + between(-shift, shift),
        y: of.y + between(-shift, shift),
        radius: of.radius * (near ? between(0.8, 1.25) : 1),
        lobes: of.lobes,
        category: right ? of.category : 1 + Math.floor(random() * random() * size.categories),
      };
      const rle = polygonToRle(outline(moved, 40), HEIGHT, WIDTH);
      const score = right ? 1 - 0.8 * random() * (0.3 + shift / of.radius) : 0.9 * random() * random();
      results.push({
        image_id: i + 1,
        category_id: moved.category,
        bbox: rleToBox(rle),
        score: Math.round(score * 1e5) / 1e5,
        segmentation: rleToCoco(rle),
      });
    }
  }
  return { dataset: { images, categories, annotations }, results };
}

function outline({ x, y, radius, lobes }: Blob, points: number): number[] {
  const out: number[] = [];
  for (let p = 0; p < points; p++) {
    const angle = (2 * Math.PI * p) / points;
    const r = radius * (1 + 0.2 * Math.sin(lobes * angle));
    const px = Math.min(WIDTH, Math.max(0, x + 1.3 * r * Math.cos(angle)));
    const py = Math.min(HEIGHT, Math.max(0, y + r * Math.sin(angle)));
    out.push(Math.round(px * 100) / 100, Math.round(py * 100) / 100);
  }
  return out;
}
