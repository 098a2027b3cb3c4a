import type { Image } from '../data/image_io/pixel_formats.js';
import { ArgumentError } from '../errors.js';
import type { Instance, PixelResults } from '../structures/detected_instances.js';
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

  /** The segments of a panoptic map, things and stuff: `result.pixels` of a panoptic model. @throws ArgumentError where there is none */
  drawPanopticSeg(pixels: PixelResults): Drawing {
    if (!pixels.panoptic) throw new ArgumentError('There is no panoptic map to draw: the prediction is not of a panoptic model.');
    return new Drawing(this.image, pixels.things ?? [], this.options, pixels);
  }

  /** The classes of all pixels: `result.pixels` of a panoptic or semantic model. @throws ArgumentError where there are none */
  drawSemSeg({ semantic, semanticClassNames }: PixelResults): Drawing {
    if (!semantic)
      throw new ArgumentError('There is no semantic map to draw: the prediction is not of a panoptic or semantic model.');
    return new Drawing(this.image, [], this.options, { semantic, ...(semanticClassNames ? { semanticClassNames } : {}) });
  }

  /** Boxes, masks, labels and scores, in the frame of the picture. */
  drawInstancePredictions(instances: Iterable<Instance>): Drawing {
    return new Drawing(this.image, [...instances], this.options);
  }
}
