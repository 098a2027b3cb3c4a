import * as tf from '@tensorflow/tfjs-core';
import type { FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { nms } from '../ops/nms/nms.js';
import { readBack } from '../ops/read_back.js';
import type { AnchorGenerator } from './anchor_generator.js';
import type { Box2BoxTransform } from './box_transform.js';
import type { LevelSize, Proposals, ProposalSelection } from './find_top_proposals.js';
import { NormalisedTransform } from './normalised_transform.js';
import { Rpn, type RpnOutputs } from './rpn.js';
import { topK } from './top_k.js';

const f = Math.fround;

/** The region proposal network as Matterport chooses from it, in normalised boxes: from 0, the middle of the first pixel of the padded input, to 1, that of the last. */
export class MatterportRpn extends Rpn {
  static override fromConfig(cfg: Config, features: FeatureShapes): MatterportRpn {
    const options = Rpn.optionsFromConfig(cfg, features);
    return new MatterportRpn({ ...options, transform: new NormalisedTransform(cfg.MODEL.RPN.BBOX_REG_WEIGHTS) });
  }

  /**
   * Chosen on the host, with one read of all outputs on a GPU, where a picture then makes three reads: all levels compete with each other by probability as
   * float32 rounds it, of which the kernels know nothing, and their boxes are normalised.
   */
  override proposeOnDevice(): undefined {
    return undefined;
  }

  /** @returns per image `postNmsTopK` normalised boxes (x0, y0, x1, y1), zeros behind the last */
  override async propose(
    { logits, deltas }: RpnOutputs,
    imageSizes: readonly (readonly [number, number])[],
    selection = this.options.selection,
  ): Promise<Proposals[]> {
    const levels = logits.map(({ shape }): LevelSize => ({ height: shape[1], width: shape[2] }));
    const batch = imageSizes.length;
    const flat = tf.tidy(() => tf.concat([...logits, ...deltas].map((map) => tf.reshape(map, [batch, -1])), 1)); // prettier-ignore
    const values = await readBack(flat);
    flat.dispose();
    const perImage = values.length / batch;
    const { anchorGenerator, transform } = this.options;
    return imageSizes.map((_, i) =>
      matterportProposals(values.subarray(i * perImage, (i + 1) * perImage), levels, anchorGenerator, transform, selection),
    );
  }
}

/**
 * Proposals of one image (the proposal layer of Matterport's Mask R-CNN): the best of all levels together by probability, decoded, to the padded input, suppressed together; none is dropped for its size.
 * @param values logits of all levels, then deltas (dx, dy, dw, dh) of all levels, each level flattened as [H, W, A] and [H, W, A, 4]
 * @returns      `postNmsTopK` normalised boxes, best first, zeros where fewer are left
 */
export function matterportProposals(
  values: Float32Array,
  levels: readonly LevelSize[],
  anchors: AnchorGenerator,
  transform: Box2BoxTransform,
  { preNmsTopK, postNmsTopK, nmsThreshold }: ProposalSelection,
): Proposals {
  const counts = levels.map(({ height, width }) => height * width * anchors.anchorsPerLocation);
  const total = counts.reduce((a, b) => a + b, 0);
  // Rounded as the original's softmax: what is 1 in float32 ties, and ties go by position.
  const probabilities = Float32Array.from({ length: total }, (_, i) => 1 / (1 + Math.exp(-values[i])));
  const best = topK(probabilities, 0, total, preNmsTopK);
  const { strideX, strideY } = anchors.grid(0);
  const [right, bottom] = [levels[0].width * strideX - 1, levels[0].height * strideY - 1];
  const boxes = new Float32Array(best.length * 4);
  const scores = new Float32Array(best.length);
  const anchor = new Float32Array(4);
  best.forEach((index, i) => {
    let level = 0;
    let first = 0;
    while (index - first >= counts[level]) first += counts[level++];
    anchors.anchorAt(level, levels[level].width, index - first, anchor, 0);
    anchor.set([anchor[0] / right, anchor[1] / bottom, (anchor[2] - 1) / right, (anchor[3] - 1) / bottom]);
    transform.decode(values, total + index * 4, anchor, 0, boxes, i * 4);
    for (let k = i * 4; k < i * 4 + 4; k++) boxes[k] = Math.max(Math.min(boxes[k], 1), 0);
    scores[i] = probabilities[index];
  });
  const keep = nms(boxes, scores, f(nmsThreshold)).subarray(0, postNmsTopK);
  const result = { boxes: new Float32Array(postNmsTopK * 4), objectnessLogits: new Float32Array(postNmsTopK) };
  keep.forEach((from, to) => {
    result.boxes.set(boxes.subarray(from * 4, from * 4 + 4), to * 4);
    result.objectnessLogits[to] = values[best[from]];
  });
  return result;
}
