import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { batchedNms } from '../ops/nms/nms.js';
import { softNms, type SoftNmsDecay, type SoftNmsResult } from '../ops/nms/soft_nms.js';

export interface SuppressionOptions {
  /** Detections need a score above this. */
  readonly scoreThreshold: number;
  readonly nmsThreshold: number;
  /** Detections per image; -1 keeps all. */
  readonly topK: number;
  /** Where it is given, scores of overlapping detections decay in the place of the weaker ones being dropped. */
  readonly softNms?: SoftNmsDecay | undefined;
}

/**
 * Which of an image's candidates stay, best first, suppressed per class.
 * @param boxes   [N, 4]
 * @param scores  [N], all above the threshold
 * @param classes [N]
 * @returns       indices of those that stay, with the scores that they have then
 */
export function suppressDetections(
  boxes: Float32Array,
  scores: Float32Array,
  classes: Int32Array,
  { scoreThreshold, nmsThreshold, topK, softNms: decay }: SuppressionOptions,
): SoftNmsResult {
  const most = topK >= 0 ? topK : scores.length;
  if (decay) return softNms(boxes, scores, classes, { ...decay, iouThreshold: nmsThreshold, scoreThreshold, most });
  const indices = Int32Array.from(batchedNms(boxes, scores, classes, nmsThreshold).subarray(0, most));
  return { indices, scores: Float32Array.from(indices, (i) => scores[i]) };
}

/**
 * The decay that `TEST.SOFT_NMS` asks for; undefined where suppression is hard.
 * @throws ConfigError for a sigma that is not positive
 */
export function softNmsFromConfig({ TEST: { SOFT_NMS } }: Config): SoftNmsDecay | undefined {
  const method = SOFT_NMS.METHOD as '' | SoftNmsDecay['method'];
  if (method === '') return undefined;
  if (!(SOFT_NMS.SIGMA > 0))
    throw new ConfigError(`TEST.SOFT_NMS.SIGMA is ${SOFT_NMS.SIGMA}; expected a positive number, such as 0.5.`);
  return { method, sigma: SOFT_NMS.SIGMA };
}
