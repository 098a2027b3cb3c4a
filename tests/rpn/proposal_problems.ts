import * as tf from '@tensorflow/tfjs-core';
import { Random } from '../../src/data/random.js';
import { AnchorGenerator } from '../../src/rpn/anchor_generator.js';
import { Box2BoxTransform } from '../../src/rpn/box_transform.js';
import { findTopProposals } from '../../src/rpn/find_top_proposals.js';
import { selectProposals } from '../../src/rpn/proposal_kernel.js';
import { readProposals } from '../../src/rpn/rpn.js';
import '../../src/rpn/rpn.js';
import { maxDifference } from '../ops/max_difference.js';

/** Name, cells of the finest level, candidates of a level, proposals, and the largest logit. */
export const CHOICES: [name: string, cells: [number, number], preNmsTopK: number, postNmsTopK: number, largest: number][] = [
  ['fewer candidates than are told apart by offsets', [12, 16], 400, 120, Infinity],
  ['more of them, group by group', [40, 52], 900, 300, Infinity],
  ['zeros of either sign, of which some are candidates', [20, 26], 300, 100, 0],
];

/** How the running backend's choice differs from the plain loops', image by image. */
export interface ChoiceDifference {
  chosen: number[];
  expected: number[];
  boxes: number;
}

/** Chooses among many candidates of three levels and two images, a good part of them equal; leaves no tensors. */
export async function compareChoice(
  [height, width]: [number, number],
  preNmsTopK: number,
  postNmsTopK: number,
  largest: number,
): Promise<ChoiceDifference[]> {
  const random = new Random(5);
  const anchors = new AnchorGenerator({
    sizes: [[24], [48], [96]],
    aspectRatios: [[0.5, 1, 2]],
    strides: [8, 16, 32],
    offset: 0,
  });
  const images = 2;
  const levels = [0, 1, 2].map((level) => ({ height: Math.ceil(height / 2 ** level), width: Math.ceil(width / 2 ** level) }));
  const maps = levels.map((level) =>
    // Few different values, so that many are equal.
    Float32Array.from({ length: images * level.height * level.width * 3 }, (_, i) => {
      const value = Math.round(random.uniform(0, 1) * 4000) / 256 - 8;
      return value < largest ? value : i % 3 === 0 ? -largest : largest;
    }),
  );
  const deltas = maps.map((map) => Float32Array.from({ length: map.length * 4 }, () => random.uniform(0, 1) - 0.5));
  const transform = new Box2BoxTransform([1, 1, 1, 1]);
  const selection = { nmsThreshold: 0.7, preNmsTopK, postNmsTopK, minBoxSize: 4 };
  const imageSizes = [[height * 8, width * 8], [height * 8 - 37, width * 8 - 90]] as [number, number][]; // prettier-ignore
  const tensors = [maps, deltas].map((list, part) =>
    list.map((values, l) => tf.tensor4d(values.slice(), [images, levels[l].height, levels[l].width, part === 0 ? 3 : 12])),
  );
  const rows = selectProposals(tensors[0], tensors[1], { anchors, transform, selection, imageSizes });
  const chosen = await readProposals(rows, images);
  tf.dispose([tensors, rows]);
  return imageSizes.map((size, image) => {
    const part = (list: Float32Array[]): number[] =>
      list.flatMap((v) => [...v.subarray((image * v.length) / images, ((image + 1) * v.length) / images)]);
    const values = Float32Array.from([...part(maps), ...part(deltas)]);
    const expected = findTopProposals(values, levels, size, anchors, transform, selection);
    return {
      chosen: [...chosen[image].objectnessLogits],
      expected: [...expected.objectnessLogits],
      boxes: maxDifference(chosen[image].boxes, expected.boxes),
    };
  });
}
