import { ArgumentError } from '../errors.js';
import type { GivenDetections } from '../roi_heads/roi_heads.js';
import type { BoxXyxy } from '../structures/detected_instances.js';

/** A box that the caller gives. */
export interface GivenBox {
  /** Pixels of the picture. */
  readonly box: BoxXyxy;
  /** The class, where it is known; else the likeliest. */
  readonly classIndex?: number;
  /** Where it is not given: the model's probability of the class. */
  readonly score?: number;
}

interface Size {
  readonly height: number;
  readonly width: number;
}

/**
 * Boxes of the picture in the frame of the resized one.
 * @throws ArgumentError for a box without area or beyond the picture, or a class that the model does not have
 */
export function givenDetections(
  given: readonly GivenBox[],
  picture: Size,
  input: Size,
  classNames: readonly string[],
): GivenDetections {
  const boxes = new Float32Array(given.length * 4);
  // Divided by what results are multiplied by, so that a detection's box comes back to the last bit but one.
  const [x, y] = [Math.fround(picture.width / input.width), Math.fround(picture.height / input.height)];
  given.forEach(({ box, classIndex }, i) => {
    const [x0, y0, x1, y1] = box;
    const inside = x0 >= 0 && y0 >= 0 && x1 <= picture.width && y1 <= picture.height;
    if (!(inside && x1 > x0 && y1 > y0))
      throw new ArgumentError(
        `boxes[${i}] is (${box.join(', ')}); expected x0 < x1 and y0 < y1 in a picture of ${picture.width} x ${picture.height} pixels.`,
      );
    if (classIndex !== undefined && !(Number.isInteger(classIndex) && classIndex >= 0 && classIndex < classNames.length))
      throw new ArgumentError(`boxes[${i}] has the class ${classIndex}; expected 0 to ${classNames.length - 1}.`);
    boxes.set([x0 / x, y0 / y, x1 / x, y1 / y], i * 4);
  });
  const classes = given.map(({ classIndex }) => classIndex);
  const scores = given.map(({ score }) => score);
  return { boxes, classes, scores };
}
