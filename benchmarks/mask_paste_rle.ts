import { rleToString } from '../src/data/rle/rle.js';
import { pasteMaskToRle } from '../src/ops/mask_paste/mask_paste.js';
import type { Bench } from './bench.js';
import { randomBoxes, seededRandom } from './random.js';

const COUNT = 100;
const SIZE = 28;
const HEIGHT = 800;
const WIDTH = 1333;

/** Blobs with a soft border, as a mask head gives them. */
function masks(random: () => number): Float32Array {
  const out = new Float32Array(COUNT * SIZE * SIZE);
  for (let i = 0; i < COUNT; i++) {
    const radius = 8 + 5 * random();
    const lobes = 2 + Math.floor(random() * 4);
    for (let y = 0; y < SIZE; y++)
      for (let x = 0; x < SIZE; x++) {
        const [dy, dx] = [y - 13.5, x - 13.5];
        const edge = radius * (1 + 0.25 * Math.sin(lobes * Math.atan2(dy, dx)));
        out[(i * SIZE + y) * SIZE + x] = 1 / (1 + Math.exp(Math.hypot(dy, dx) - edge));
      }
  }
  return out;
}

/** From mask probabilities and boxes to compressed run lengths in an image of 1333 x 800. */
export function maskPasteRle100(): Bench {
  const random = seededRandom(3);
  const probabilities = masks(random);
  const boxes = randomBoxes(COUNT, HEIGHT, WIDTH, 20, 600, random);
  return {
    name: 'mask_paste_rle_100',
    input: `${COUNT} masks ${SIZE}x${SIZE}, boxes of 20 to 600 px, image ${WIDTH}x${HEIGHT}`,
    peers: ['torchvision'],
    inputs: { masks: { shape: [COUNT, SIZE, SIZE], data: probabilities }, boxes: { shape: [COUNT, 4], data: boxes } },
    options: { height: HEIGHT, width: WIDTH },
    async prepare() {
      return {
        async run() {
          let characters = 0;
          for (let i = 0; i < COUNT; i++) {
            const mask = probabilities.subarray(i * SIZE * SIZE, (i + 1) * SIZE * SIZE);
            const rle = pasteMaskToRle(mask, SIZE, boxes.subarray(i * 4, i * 4 + 4), HEIGHT, WIDTH);
            characters += rleToString(rle).length;
          }
          return { rle_characters: characters };
        },
        dispose: () => undefined,
      };
    },
  };
}
