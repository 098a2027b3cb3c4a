import { decodeRle, encodeRle, rleToString, rleFromString } from '../src/data/rle/rle.js';
import { polygonToRle } from '../src/data/rle/polygon_to_rle.js';
import type { Bench } from './bench.js';
import { seededRandom } from './random.js';

const COUNT = 1000;
const HEIGHT = 800;
const WIDTH = 1333;
/** Different pictures; each is taken ten times, as 1000 bitmaps would not fit into memory with the peer's. */
const DISTINCT = 100;

/** Bitmaps of blobs of all sizes, some with holes: column-major, as pycocotools takes them, which is the order of run lengths. */
function bitmaps(): Uint8Array {
  const random = seededRandom(5);
  const out = new Uint8Array(DISTINCT * HEIGHT * WIDTH);
  for (let i = 0; i < DISTINCT; i++) {
    const radius = Math.exp(Math.log(10) + random() * Math.log(40));
    const [x, y, lobes] = [random() * WIDTH, random() * HEIGHT, 2 + Math.floor(random() * 6)];
    const outline: number[] = [];
    for (let p = 0; p < 90; p++) {
      const angle = (2 * Math.PI * p) / 90;
      const r = radius * (1 + 0.3 * Math.sin(lobes * angle));
      outline.push(x + r * Math.cos(angle), y + r * Math.sin(angle));
    }
    const { counts } = polygonToRle(outline, HEIGHT, WIDTH);
    let at = i * HEIGHT * WIDTH;
    counts.forEach((n, k) => {
      if (k % 2) out.fill(1, at, at + n);
      at += n;
    });
  }
  return out;
}

const input = `${COUNT} masks of ${WIDTH}x${HEIGHT}`;
const shape = [DISTINCT, HEIGHT * WIDTH];

/** From column-major bitmaps to compressed strings. */
export function rleEncode1000(): Bench {
  const data = bitmaps();
  return {
    name: 'rle_encode_1000',
    input,
    peers: ['pycocotools', 'faster_coco_eval'],
    inputs: { bitmaps: { shape, data } },
    options: { count: COUNT, height: HEIGHT, width: WIDTH },
    async prepare() {
      return {
        async run() {
          let characters = 0;
          for (let i = 0; i < COUNT; i++) {
            const from = (i % DISTINCT) * HEIGHT * WIDTH;
            const rle = encodeRle(data.subarray(from, from + HEIGHT * WIDTH), HEIGHT, WIDTH, 'column');
            characters += rleToString(rle).length;
          }
          return { rle_characters: characters };
        },
        dispose: () => undefined,
      };
    },
  };
}

/** From compressed strings to bitmaps, by rows here, by columns in pycocotools. */
export function rleDecode1000(): Bench {
  const data = bitmaps();
  const strings = Array.from({ length: DISTINCT }, (_, i) =>
    rleToString(encodeRle(data.subarray(i * HEIGHT * WIDTH, (i + 1) * HEIGHT * WIDTH), HEIGHT, WIDTH, 'column')),
  );
  return {
    name: 'rle_decode_1000',
    input,
    peers: ['pycocotools', 'faster_coco_eval'],
    inputs: { bitmaps: { shape, data } },
    options: { count: COUNT, height: HEIGHT, width: WIDTH },
    async prepare() {
      return {
        async run() {
          let last = 0;
          for (let i = 0; i < COUNT; i++) {
            const bitmap = decodeRle(rleFromString(strings[i % DISTINCT]!, [HEIGHT, WIDTH]));
            last += bitmap[(i * 1013) % bitmap.length]!;
          }
          return { ones_seen: last };
        },
        dispose: () => undefined,
      };
    },
  };
}
