import { DetectedInstances, type Instance } from '../structures/detected_instances.js';
import type { MaskCrop } from '../ops/mask_paste/mask_paste.js';
import type { DrawOptions } from '../visualization/scene.js';
import { CanvasDrawing } from './canvas_drawing.js';

/** The instances of one picture, best first, which can be drawn on a canvas and asked what lies under the pointer. */
export class Prediction extends DetectedInstances {
  private readonly crops = new Map<Instance, MaskCrop>();

  /** An overlay of boxes, masks and labels (of panoptic and semantic models things and stuff), for a canvas or a PNG. */
  draw(options: DrawOptions = {}): CanvasDrawing {
    return new CanvasDrawing(this.image, this.instances, options, this.pixels);
  }

  /**
   * The instance at a place of the picture: the smallest mask that covers the pixel, else the smallest box around it.
   * @param x pixels of the picture, from the left
   * @param y pixels of the picture, from the top
   */
  instanceAt(x: number, y: number): Instance | undefined {
    const around = this.instances.filter(({ box: [x0, y0, x1, y1] }) => x >= x0 && x < x1 && y >= y0 && y < y1);
    around.sort((a, b) => area(a) - area(b));
    return around.find((instance) => this.covers(instance, Math.floor(x), Math.floor(y))) ?? around[0];
  }

  protected override withInstances(instances: readonly Instance[]): this {
    return new Prediction(instances, this.image, this.times, this.pixels) as this;
  }

  private covers(instance: Instance, x: number, y: number): boolean {
    if (!instance.mask) return false;
    let crop = this.crops.get(instance);
    if (!crop) this.crops.set(instance, (crop = instance.mask.crop()));
    if (x < crop.x0 || y < crop.y0 || x >= crop.x1 || y >= crop.y1) return false;
    return crop.bitmap[(y - crop.y0) * (crop.x1 - crop.x0) + x - crop.x0] !== 0;
  }
}

function area({ box: [x0, y0, x1, y1] }: Instance): number {
  return (x1 - x0) * (y1 - y0);
}
