import type { TrainingSample } from '../src/structures/training_sample.js';
import { seededRandom } from './random.js';

/** A picture of noise to train on: square, with boxes near the shapes of anchors, so that random proposals match them, each with an elliptic mask. */
export function noiseSample(seed: number, side: number, objects: number, numClasses: number) {
  const random = seededRandom(seed);
  const data = Uint8Array.from({ length: side * side * 3 }, () => Math.floor(random() * 256));
  const boxes = new Float32Array(objects * 4);
  const masks = new Uint8Array(objects * side * side);
  for (let i = 0; i < objects; i++) {
    const size = ([64, 128, 256][i % 3]! * side) / 800;
    const ratio = [0.5, 1, 2][Math.floor(i / 3) % 3]!;
    const width = size / Math.sqrt(ratio);
    const height = size * Math.sqrt(ratio);
    const x = Math.min(Math.floor(random() * (side - width)), side - width);
    const y = Math.min(Math.floor(random() * (side - height)), side - height);
    boxes.set([x, y, x + width, y + height], i * 4);
    for (let v = Math.floor(y); v < y + height; v++)
      for (let u = Math.floor(x); u < x + width; u++)
        if (((u + 0.5 - x) / width - 0.5) ** 2 + ((v + 0.5 - y) / height - 0.5) ** 2 < 0.25) masks[(i * side + v) * side + u] = 1;
  }
  const bitmaps = Array.from({ length: objects }, (_, i) => masks.subarray(i * side * side, (i + 1) * side * side));
  const groundTruth = {
    boxes,
    classes: Int32Array.from({ length: objects }, (_, i) => i % numClasses),
    masks: bitmaps.map((bitmap) => ({ kind: 'bitmap' as const, bitmap })),
  };
  const sample: TrainingSample = { data, height: side, width: side, imageId: 1, fileName: 'noise', groundTruth };
  return { data, boxes, masks, sample };
}
