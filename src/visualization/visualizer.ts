import type { Image } from '../data/image_io/pixel_formats.js';
import type { Instance } from '../structures/detected_instances.js';
import { Drawing, type DrawOptions } from './drawing.js';

/**
 * Draws on one picture, under the names of Detectron2's `Visualizer`. `result.draw()` does the same for a prediction.
 *
 * @example
 * ```ts
 * await new Visualizer(await readImage('street.jpg', { format: 'RGB' })).drawInstancePredictions(result).toFile('street.png');
 * ```
 */
export class Visualizer {
  /** @param image RGB */
  constructor(
    private readonly image: Image,
    private readonly options: DrawOptions = {},
  ) {}

  /** Boxes, masks, labels and scores, in the frame of the picture. */
  drawInstancePredictions(instances: Iterable<Instance>): Drawing {
    return new Drawing(this.image, [...instances], this.options);
  }
}
