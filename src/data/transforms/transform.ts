import { ArgumentError } from '../../errors.js';
import type { LabelArray } from '../resize/resize.js';

/** Samples of a picture or a label map. */
export type Samples = Uint8Array | LabelArray;

/** A picture: [height, width, channels] interleaved. Label maps have one channel. */
export interface Raster<T extends Samples = Samples> {
  readonly data: T;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** What transforms of pictures work on. */
export type Picture = Raster<Uint8Array | Float32Array>;

/**
 * A change of a picture with everything that lies in it. Deterministic: what is random is an {@link Augmentation}, which makes transforms.
 * Inputs are never changed. Coordinates are pixels with the origin in the picture's corner: pixel i covers [i, i + 1].
 */
export abstract class Transform {
  /** Changes the samples of a picture. */
  abstract applyImage(image: Picture): Picture;

  /** Changes a label map, without ever mixing labels. */
  abstract applyLabels<T extends Samples>(labels: Raster<T>): Raster<T>;

  /** Moves points. @param points [N * 2] as x, y */
  abstract applyCoordinates(points: Float64Array): Float64Array;

  /**
   * Moves boxes: the box around the four moved corners, as Detectron2's `apply_box`. Nothing is clipped.
   * @param boxes [N * 4] as x0, y0, x1, y1
   */
  applyBoxes(boxes: Float64Array): Float64Array {
    const out = new Float64Array(boxes.length);
    const corners = new Float64Array((boxes.length / 4) * 8);
    for (let i = 0; i < boxes.length; i += 4) {
      const [x0, y0, x1, y1] = boxes.subarray(i, i + 4);
      corners.set([x0, y0, x1, y0, x0, y1, x1, y1], i * 2);
    }
    const moved = this.applyCoordinates(corners);
    for (let i = 0; i < boxes.length; i += 4) {
      const c = moved.subarray(i * 2, i * 2 + 8);
      out[i] = Math.min(c[0], c[2], c[4], c[6]);
      out[i + 1] = Math.min(c[1], c[3], c[5], c[7]);
      out[i + 2] = Math.max(c[0], c[2], c[4], c[6]);
      out[i + 3] = Math.max(c[1], c[3], c[5], c[7]);
    }
    return out;
  }

  /** Moves polygons, each `x0, y0, x1, y1, ...`; a crop cuts them, so their number may change. */
  applyPolygons(polygons: readonly Float64Array[]): Float64Array[] {
    return polygons.map((polygon) => this.applyCoordinates(polygon));
  }

  /**
   * Moves rotated boxes.
   * @param _boxes [N * 5] as x and y of the centre, width, height, degrees counter-clockwise
   * @throws ArgumentError for a transform that does not turn such boxes into such boxes
   */
  applyRotatedBoxes(_boxes: Float64Array): Float64Array {
    throw new ArgumentError(`${this.constructor.name} cannot be applied to rotated boxes.`);
  }

  /** Whether left and right of what is shown change places, so that left and right keypoints must too. */
  get mirrors(): boolean {
    return false;
  }

  /**
   * The transform that moves coordinates back.
   * @throws ArgumentError where there is none
   */
  inverse(): Transform {
    throw new ArgumentError(`${this.constructor.name} has no inverse.`);
  }
}

/** Changes nothing. */
export class NoOpTransform extends Transform {
  applyImage(image: Picture): Picture {
    return image;
  }

  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    return labels;
  }

  applyCoordinates(points: Float64Array): Float64Array {
    return points.slice();
  }

  override applyRotatedBoxes(boxes: Float64Array): Float64Array {
    return boxes.slice();
  }

  override inverse(): Transform {
    return this;
  }
}

/** Transforms one after the other. */
export class TransformList extends Transform {
  /** Without the lists inside: what is done, in order. */
  readonly transforms: readonly Transform[];

  constructor(transforms: readonly Transform[]) {
    super();
    this.transforms = transforms.flatMap((t) => (t instanceof TransformList ? t.transforms : [t]));
  }

  applyImage(image: Picture): Picture {
    return this.transforms.reduce((out, t) => t.applyImage(out), image);
  }

  applyLabels<T extends Samples>(labels: Raster<T>): Raster<T> {
    return this.transforms.reduce((out, t) => t.applyLabels(out), labels);
  }

  applyCoordinates(points: Float64Array): Float64Array {
    return this.transforms.reduce((out, t) => t.applyCoordinates(out), points);
  }

  override applyBoxes(boxes: Float64Array): Float64Array {
    return this.transforms.reduce((out, t) => t.applyBoxes(out), boxes);
  }

  override applyPolygons(polygons: readonly Float64Array[]): Float64Array[] {
    return this.transforms.reduce<Float64Array[]>((out, t) => t.applyPolygons(out), [...polygons]);
  }

  override applyRotatedBoxes(boxes: Float64Array): Float64Array {
    return this.transforms.reduce((out, t) => t.applyRotatedBoxes(out), boxes);
  }

  override get mirrors(): boolean {
    return this.transforms.filter((t) => t.mirrors).length % 2 === 1;
  }

  override inverse(): Transform {
    return new TransformList(this.transforms.map((t) => t.inverse()).reverse());
  }
}

/** A new array of the same type. */
export function like<T extends Samples>(data: T, length: number): T {
  return new (data.constructor as new (length: number) => T)(length);
}

/** @throws ArgumentError unless the picture has the size that the transform was made for */
export function checkSize(what: string, raster: Raster, height: number, width: number): void {
  if (raster.height !== height || raster.width !== width)
    throw new ArgumentError(
      `${what} was made for ${height} x ${width} pixels, the picture has ${raster.height} x ${raster.width}.`,
    );
}
