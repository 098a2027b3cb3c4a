import type { Image } from '../data/image_io/pixel_formats.js';
import { rleToString } from '../data/rle/rle.js';
import type { RawInstances } from '../roi_heads/roi_heads.js';
import type { SemanticMap } from '../meta_arch/meta_architecture.js';
import type { PanopticMap } from '../semantic/combine_panoptic.js';
import { padMask } from '../ops/mask_paste/torchvision.js';
import { InstanceMask } from './masks/lazy_mask.js';

/** A box as (x0, y0, x1, y1) in pixels of the picture. */
export type BoxXyxy = readonly [x0: number, y0: number, x1: number, y1: number];

/** One found keypoint. */
export interface Keypoint {
  readonly name: string;
  /** Pixels of the picture; the middle of the first pixel is 0.5. */
  readonly x: number;
  readonly y: number;
  /**
   * From 0 on, larger is surer; comparable between objects of different sizes (Detectron2's `pred_keypoints[..., 2]`). Of torchvision's models
   * the logit, from below 0 (its `keypoints_scores`).
   */
  readonly score: number;
}

/** One found object. */
export interface Instance {
  readonly className: string;
  /** The index of the class, from 0. */
  readonly classIndex: number;
  /** From 0 to 1, not rounded. */
  readonly score: number;
  readonly box: BoxXyxy;
  /** The mask, small until someone asks for pixels; absent for models without a mask head. */
  readonly mask: InstanceMask | undefined;
  /** In the order of the model's keypoints; absent for models without a keypoint head. */
  readonly keypoints?: readonly Keypoint[];
}

/** How long each stage took, for the whole batch. */
export interface StageMilliseconds {
  readonly decode: number;
  readonly resize: number;
  readonly preprocess: number;
  readonly proposals: number;
  readonly heads: number;
}

/** What models with a semantic branch say of every pixel of the picture. */
export interface PixelResults {
  /** The semantic class of every pixel. */
  readonly semantic?: SemanticMap;
  readonly semanticClassNames?: readonly string[];
  /** Things and stuff in one map without overlaps; its `instanceIndex` counts in `things`. */
  readonly panoptic?: PanopticMap;
  /** The instances that the panoptic map was made from, whatever is filtered out later. */
  readonly things?: readonly Instance[];
}

/** One row of COCO's results format. */
export interface CocoResult {
  image_id: number;
  category_id: number;
  /** (x, y, width, height) */
  bbox: [number, number, number, number];
  score: number;
  segmentation?: { size: [number, number]; counts: string };
  /** x, y, score per keypoint; the middle of the first pixel is 0. */
  keypoints?: number[];
}

/** The instances of one picture, best first: an iterable of plain values that holds no tensors. */
export abstract class DetectedInstances implements Iterable<Instance> {
  constructor(
    readonly instances: readonly Instance[],
    /** The picture as it was read, RGB. */
    readonly image: Image,
    /** How long the batch that this picture was in took. */
    readonly times: StageMilliseconds,
    /** Per pixel: the semantic map and the panoptic one, where the model has them. */
    readonly pixels: PixelResults = {},
  ) {}

  get height(): number {
    return this.image.height;
  }

  get width(): number {
    return this.image.width;
  }

  get length(): number {
    return this.instances.length;
  }

  [Symbol.iterator](): Iterator<Instance> {
    return this.instances[Symbol.iterator]();
  }

  /** The same picture with only the instances that pass. */
  filter(keep: (instance: Instance) => boolean): this {
    return this.withInstances(this.instances.filter(keep));
  }

  /**
   * pycocotools' results format, masks as compressed RLE.
   * @param options.categoryIds the data set's id of each class index; class index + 1 where it is not given
   */
  toCoco(options: { imageId: number; categoryIds?: readonly number[] }): CocoResult[] {
    return this.instances.map(({ box: [x0, y0, x1, y1], classIndex, score, mask, keypoints }) => {
      const result: CocoResult = {
        image_id: options.imageId,
        category_id: options.categoryIds?.[classIndex] ?? classIndex + 1,
        bbox: [x0, y0, x1 - x0, y1 - y0],
        score,
      };
      if (mask) result.segmentation = { size: [this.height, this.width], counts: rleToString(mask.toRle()) };
      if (keypoints) result.keypoints = keypoints.flatMap(({ x, y, score: sure }) => [x - 0.5, y - 0.5, sure]);
      return result;
    });
  }

  /** The same picture with other instances. */
  protected abstract withInstances(instances: readonly Instance[]): this;
}

/**
 * What a model found, as plain values.
 * @param found in the frame of the picture
 * @param size  of the picture
 * @param conventions whose rule of pasting masks holds
 * @param keypointNames by number; `keypoint i` where there is none
 */
export function instancesOf(
  found: RawInstances,
  size: { readonly height: number; readonly width: number },
  classNames: readonly string[],
  conventions = 'detectron2',
  keypointNames: readonly string[] = [],
): Instance[] {
  const area = found.masks ? found.masks.size ** 2 : 0;
  return Array.from(found.scores, (score, i): Instance => {
    const box: BoxXyxy = [found.boxes[i * 4], found.boxes[i * 4 + 1], found.boxes[i * 4 + 2], found.boxes[i * 4 + 3]];
    const classIndex = found.classes[i];
    const mask = found.masks && maskOf(found.masks.probabilities.subarray(i * area, (i + 1) * area), box, size, conventions);
    return {
      className: classNames[classIndex] ?? `class ${classIndex}`,
      classIndex,
      score,
      box,
      mask,
      ...keypointsOf(found, i, keypointNames),
    };
  });
}

function maskOf(
  probabilities: Float32Array,
  box: BoxXyxy,
  { height, width }: { readonly height: number; readonly width: number },
  conventions: string,
): InstanceMask {
  if (conventions !== 'torchvision') return new InstanceMask(probabilities, box, height, width);
  const padded = padMask(probabilities, box);
  return new InstanceMask(padded.probabilities, padded.box, height, width);
}

function keypointsOf({ keypoints }: RawInstances, row: number, names: readonly string[]): Pick<Instance, 'keypoints'> {
  if (!keypoints) return {};
  const { count, values } = keypoints;
  const points = Array.from({ length: count }, (_, k): Keypoint => {
    const at = (row * count + k) * 3;
    return { name: names[k] ?? `keypoint ${k}`, x: values[at], y: values[at + 1], score: values[at + 2] };
  });
  return { keypoints: points };
}
