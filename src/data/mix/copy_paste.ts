import { ArgumentError } from '../../errors.js';
import type { GroundTruth, MaskAnnotation, TrainingSample } from '../../structures/training_sample.js';
import { selectObjects, withMaskBoxes, withoutEmpty } from '../annotations/instances.js';
import { polygonsToRle } from '../rle/polygon_to_rle.js';
import { decodeRle } from '../rle/rle.js';
import type { RandomNumbers } from '../transforms/augmentation.js';
import { CropTransform } from '../transforms/crop.js';
import { PadTransform } from '../transforms/pad.js';
import { TransformList } from '../transforms/transform.js';
import { joinTruths, transformSample } from './transform_sample.js';

/**
 * Pastes a drawn part of one sample's objects over another sample (Ghiasi et al. 2021): what they cover is taken from the masks below, boxes are
 * drawn tight again, and objects that are covered altogether go.
 *
 * @param probability that an object is pasted; default a half
 * @throws ArgumentError for samples without masks
 */
export function copyPaste(
  target: TrainingSample,
  source: TrainingSample,
  random: RandomNumbers,
  probability = 0.5,
): TrainingSample {
  if (!target.groundTruth.masks || !source.groundTruth.masks)
    throw new ArgumentError('Objects can be copied and pasted only with masks; the samples have none.');
  const { height, width } = target;
  const fitted = transformSample(source, fit(source, target));
  const chosen = Array.from(fitted.groundTruth.classes.keys()).filter(() => random.next() < probability);
  const pasted = asBitmaps(selectObjects(fitted.groundTruth, chosen), height, width);
  const cover = new Uint8Array(height * width);
  for (const mask of pasted.masks!) if (mask.kind === 'bitmap') mask.bitmap.forEach((v, i) => (cover[i] |= v));
  const data = target.data.slice();
  for (let i = 0; i < cover.length; i++) if (cover[i]) for (let c = i * 3; c < i * 3 + 3; c++) data[c] = fitted.data[c];
  const below = asBitmaps(target.groundTruth, height, width);
  const visible = below.masks!.map((mask) => uncovered(mask, cover));
  const left = withMaskBoxes({ ...below, masks: visible }, width);
  return { ...target, data, groundTruth: joinTruths([withoutEmpty(left), withMaskBoxes(pasted, width)]) };
}

/** Cuts and pads the right and lower side so that the source is as large as the target. */
function fit(source: TrainingSample, target: TrainingSample): TransformList {
  const width = Math.min(source.width, target.width);
  const height = Math.min(source.height, target.height);
  return new TransformList([
    new CropTransform(0, 0, width, height),
    new PadTransform({ left: 0, top: 0, right: target.width - width, bottom: target.height - height }),
  ]);
}

function asBitmaps(truth: GroundTruth, height: number, width: number): GroundTruth {
  const masks = truth.masks!.map((mask): MaskAnnotation =>
    mask.kind === 'bitmap' ? mask : { kind: 'bitmap', bitmap: decodeRle(polygonsToRle(mask.polygons, height, width)) },
  );
  // Small polygons may cover no pixel: such an object cannot be cut out.
  return withoutEmpty({ ...truth, masks });
}

function uncovered(mask: MaskAnnotation, cover: Uint8Array): MaskAnnotation {
  if (mask.kind !== 'bitmap') return mask;
  return { kind: 'bitmap', bitmap: mask.bitmap.map((v, i) => (cover[i] ? 0 : v)) };
}
