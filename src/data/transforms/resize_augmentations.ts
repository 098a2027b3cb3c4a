import { ArgumentError } from '../../errors.js';
import { resizeShortestEdgeShape } from '../resize/resize.js';
import type { Augmentation, AugmentationInput, RandomNumbers } from './augmentation.js';
import { ResizeTransform } from './resize_transform.js';
import { roundHalfEven } from './rounding.js';
import { NoOpTransform, type Transform } from './transform.js';

/** Options of {@link ResizeShortestEdge}. */
export interface ResizeShortestEdgeOptions {
  /** Short sides in pixels to choose from, or the two ends (inclusive) of a range. */
  readonly shortEdge: readonly number[];
  /** The long side is at most this. */
  readonly maxSize: number;
  /** Default `choice`. */
  readonly sampling?: 'choice' | 'range';
}

/** Resizes so that the short side has a drawn length, unless the long side would exceed a limit. */
export class ResizeShortestEdge implements Augmentation {
  constructor(readonly options: ResizeShortestEdgeOptions) {
    const { shortEdge, sampling } = options;
    if (sampling === 'range' ? shortEdge.length !== 2 : shortEdge.length === 0)
      throw new ArgumentError(
        `ResizeShortestEdge needs ${sampling === 'range' ? 'two short sides for a range' : 'a short side'}, got [${shortEdge.join(', ')}].`,
      );
  }

  draw({ image }: AugmentationInput, random: RandomNumbers): Transform {
    const { shortEdge, maxSize, sampling } = this.options;
    const size =
      sampling === 'range'
        ? shortEdge[0] + random.integer(shortEdge[1] + 1 - shortEdge[0])
        : shortEdge[random.integer(shortEdge.length)];
    if (size === 0) return new NoOpTransform();
    const { height, width } = image;
    return new ResizeTransform(height, width, ...resizeShortestEdgeShape(height, width, size, maxSize));
  }
}

/** Options of {@link ResizeScale}. */
export interface ResizeScaleOptions {
  readonly minScale: number;
  readonly maxScale: number;
  readonly targetHeight: number;
  readonly targetWidth: number;
}

/** Fits the picture into a target size times a drawn scale, keeping its shape: large-scale jitter (Ghiasi et al. 2021), before `FixedSizeCrop`. */
export class ResizeScale implements Augmentation {
  constructor(readonly options: ResizeScaleOptions) {}

  draw({ image }: AugmentationInput, random: RandomNumbers): Transform {
    const { minScale, maxScale, targetHeight, targetWidth } = this.options;
    const scale = random.uniform(minScale, maxScale);
    const { height, width } = image;
    const factor = Math.min((targetHeight * scale) / height, (targetWidth * scale) / width);
    const side = (length: number): number => Math.max(1, roundHalfEven(length * factor));
    return new ResizeTransform(height, width, side(height), side(width));
  }
}
