import { loadCocoJson } from '../../src/data/coco/dataset_records.js';
import { type Image, readImage } from '../../src/data/image_io/read_image.js';
import type { Random } from '../../src/data/random.js';

/** Pixels around an object: its box in a picture, and its class. */
interface CropSource {
  readonly picture: Image;
  readonly classIndex: number;
  /** Centre and longer side in pixels. */
  readonly x: number;
  readonly y: number;
  readonly side: number;
}

/** Every object of a COCO data set as a square crop with what lies around it: small pictures to learn what the classes look like. */
export class ObjectCrops {
  private constructor(
    private readonly sources: readonly CropSource[],
    readonly classCount: number,
  ) {}

  /** Reads all pictures into memory, BGR. */
  static async read(json: string, images: string): Promise<ObjectCrops> {
    const { records, thingClasses } = await loadCocoJson(json, images);
    const sources: CropSource[] = [];
    for (const { file_name, annotations } of records) {
      const picture = await readImage(file_name, { format: 'BGR' });
      for (const { bbox, category_id, iscrowd } of annotations) {
        if (iscrowd || !bbox) continue;
        const [x, y, w, h] = bbox;
        sources.push({ picture, classIndex: category_id, x: x + w / 2, y: y + h / 2, side: Math.max(w, h) });
      }
    }
    return new ObjectCrops(sources, thingClasses.length);
  }

  get length(): number {
    return this.sources.length;
  }

  /**
   * Cuts one crop out into `target`, normalised: the object's longer side gets a random length, its place moves a little, half are mirrored.
   * @param target [side, side, 3]
   * @param between pixels that the object's longer side may have in the crop
   * @returns the class
   */
  cut(
    index: number,
    target: Float32Array,
    side: number,
    between: readonly [number, number],
    norm: { readonly mean: readonly number[]; readonly std: readonly number[] },
    random: Random,
  ): number {
    const { picture, classIndex, x, y, side: size } = this.sources[index];
    const { data, width, height } = picture;
    const step = size / random.uniform(between[0], between[1]);
    const [cx, cy] = [x + size * random.uniform(-0.15, 0.15), y + size * random.uniform(-0.15, 0.15)];
    const mirror = random.next() < 0.5 ? -1 : 1;
    // So many samples a side that none of the source is jumped over.
    const samples = Math.max(1, Math.round(step));
    const weight = 1 / (samples * samples);
    for (let v = 0, at = 0; v < side; v++) {
      for (let u = 0; u < side; u++, at += 3) {
        let [b, g, r] = [0, 0, 0];
        for (let k = 0; k < samples * samples; k++) {
          const du = u - side / 2 + ((k % samples) + 0.5) / samples;
          const dv = v - side / 2 + (Math.floor(k / samples) + 0.5) / samples;
          const px = Math.floor(cx + mirror * du * step);
          const py = Math.floor(cy + dv * step);
          if (px < 0 || py < 0 || px >= width || py >= height) {
            b += norm.mean[0];
            g += norm.mean[1];
            r += norm.mean[2];
            continue;
          }
          const from = (py * width + px) * 3;
          b += data[from];
          g += data[from + 1];
          r += data[from + 2];
        }
        target[at] = (b * weight - norm.mean[0]) / norm.std[0];
        target[at + 1] = (g * weight - norm.mean[1]) / norm.std[1];
        target[at + 2] = (r * weight - norm.mean[2]) / norm.std[2];
      }
    }
    return classIndex;
  }
}
