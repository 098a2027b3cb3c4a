import { Drawing, type DrawOptions } from '../visualization/drawing.js';
import { DetectedInstances, type Instance } from './detected_instances.js';

export type { BoxXyxy, CocoResult, Instance, StageMilliseconds } from './detected_instances.js';

/** The instances of one picture, best first, which can be drawn to a file. */
export class Prediction extends DetectedInstances {
  /** An overlay of boxes, masks and labels (of panoptic and semantic models things and stuff), to be written as PNG or SVG. */
  draw(options: DrawOptions = {}): Drawing {
    return new Drawing(this.image, this.instances, options, this.pixels);
  }

  protected override withInstances(instances: readonly Instance[]): this {
    return new Prediction(instances, this.image, this.times, this.pixels) as this;
  }
}
