import * as tf from '@tensorflow/tfjs-core';
import { Random } from '../../src/data/random.js';
import { denseCandidates, hasDenseKernel } from '../../src/meta_arch/dense_kernel.js';
import { detectionsOfCandidates, retinaNetInference } from '../../src/meta_arch/retinanet_inference.js';
import '../../src/meta_arch/dense_kernel_webgl.js';
import '../../src/meta_arch/dense_kernel_webgpu.js';
import { readBack } from '../../src/ops/read_back.js';
import { AnchorGenerator } from '../../src/rpn/anchor_generator.js';
import { Box2BoxTransform } from '../../src/rpn/box_transform.js';
import { maxDifference } from '../ops/max_difference.js';

/** How what the running device chose differs from what the host makes of all outputs, image by image. */
export interface DenseDifference {
  /** Score, class and anchor of each detection. */
  found: number[][];
  expected: number[][];
  boxes: number;
}

/** Two images, three levels, 12 classes, many logits equal; leaves no tensors. */
export async function compareDenseChoice(
  [height, width]: readonly [number, number],
  topKCandidates: number,
): Promise<DenseDifference[]> {
  const [images, numClasses, perLocation] = [2, 12, 3];
  const anchors = new AnchorGenerator({
    sizes: [[24], [48], [96]],
    aspectRatios: [[0.5, 1, 2]],
    strides: [8, 16, 32],
    offset: 0,
  });
  const transform = new Box2BoxTransform([1, 1, 1, 1]);
  const selection = { scoreThreshold: 0.05, topKCandidates, nmsThreshold: 0.5, topK: 100 };
  const random = new Random(6);
  const levels = [0, 1, 2].map((level) => ({ height: Math.ceil(height / 2 ** level), width: Math.ceil(width / 2 ** level) }));
  // Few different values, so that many are equal; most are below the threshold.
  const logits = levels.map((level) =>
    Float32Array.from(
      { length: images * level.height * level.width * perLocation * numClasses },
      () => Math.round(random.uniform(0, 1) * 2000) / 256 - 7,
    ),
  );
  const deltas = logits.map(({ length }) =>
    Float32Array.from({ length: (length / numClasses) * 4 }, () => random.uniform(-0.5, 0.5)),
  );
  const [logitMaps, deltaMaps] = [logits, deltas].map(
    (maps) =>
    maps.map((values, l) => tf.tensor4d(values.slice(), [images, levels[l].height, levels[l].width, values.length / (images * levels[l].height * levels[l].width)])), // prettier-ignore
  );
  if (!hasDenseKernel(logitMaps)) throw new Error(`${tf.getBackend()} has no kernel for the choice of candidates`);
  const chosen = denseCandidates(logitMaps, deltaMaps, { anchors, transform, numClasses, topK: topKCandidates });
  const values = await readBack(chosen);
  tf.dispose([logitMaps, deltaMaps, chosen]);
  const own = (list: Float32Array, image: number): Float32Array =>
    list.subarray((image * list.length) / images, ((image + 1) * list.length) / images);
  return Array.from({ length: images }, (_, image) => {
    const found = detectionsOfCandidates(own(values, image), selection);
    const [l, d] = [logits, deltas].map((maps) => maps.map((list) => own(list, image)));
    const expected = retinaNetInference(l, d, levels, anchors, transform, numClasses, selection);
    const rows = ({ scores, classes, rows }: typeof found): number[][] =>
      Array.from(scores, (score, i) => [score, classes[i], rows[i]]);
    return { found: rows(found), expected: rows(expected), boxes: maxDifference(found.boxes, expected.boxes) };
  });
}
