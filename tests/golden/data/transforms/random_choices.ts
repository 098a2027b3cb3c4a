import {
  CropTransform,
  FixedSizeCrop,
  PadTransform,
  RandomCrop,
  RandomFlip,
  ResizeScale,
  ResizeShortestEdge,
  ResizeTransform,
  TransformList,
  cropWithInstance,
  type AugmentationInput,
  type CropType,
  type Transform,
} from '../../../../src/data/transforms/index.js';
import { compareValues, type Line } from '../../compare.js';
import { readJson } from '../json_file.js';
import { ScriptedNumbers, type GoldenCall } from './scripted_numbers.js';

interface Drawn {
  image_hw: [number, number];
  calls: GoldenCall[];
}

interface Choices {
  RandomCrop: (Drawn & { crop_type: CropType; crop_size: [number, number]; crop: unknown })[];
  ResizeShortestEdge: (Drawn & {
    short_edge_length: number | number[];
    max_size: number;
    sample_style: 'range' | 'choice';
    new_hw: number[] | null;
  })[];
  FixedSizeCrop_ResizeScale: (Drawn &
    (
      | { type: 'FixedSizeCrop'; crop_size: [number, number]; crop: unknown; pad: unknown }
      | { type: 'ResizeScale'; min_scale: number; max_scale: number; target_hw: [number, number]; new_hw: number[] }
    ))[];
  gen_crop_transform_with_instance: (Drawn & { crop_size: [number, number]; bbox_xywh: number[]; crop: unknown })[];
  RandomFlip: { random: number; prob: number; result: string }[];
}

/** What augmentations decide when the numbers they draw are given; and with which bounds they draw. */
export async function runRandomChoices(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const choices = readJson<Choices>(folder, 'random_choices.json');
  const judge = (
    name: string,
    drawn: Drawn,
    of: (input: AugmentationInput, random: ScriptedNumbers) => unknown,
    expected: unknown,
  ) => {
    const random = ScriptedNumbers.of(drawn.calls);
    const [height, width] = drawn.image_hw;
    const result = of({ image: { data: new Uint8Array(height * width), height, width, channels: 1 } }, random);
    const theirs = { result: expected, bounds: ScriptedNumbers.boundsOf(drawn.calls) };
    add(compareValues({ case: caseName, name }, { result, bounds: random.bounds }, theirs, { abs: 0 }));
  };
  choices.RandomCrop.forEach((c, i) =>
    judge(`RandomCrop/${i}`, c, (input, r) => crop(new RandomCrop(c.crop_type, c.crop_size).draw(input, r)), c.crop),
  );
  choices.ResizeShortestEdge.forEach((c, i) => {
    // Detectron2 makes one size two, and draws one of them.
    const { short_edge_length: side } = c;
    const options = { shortEdge: Array.isArray(side) ? side : [side, side], maxSize: c.max_size, sampling: c.sample_style };
    judge(`ResizeShortestEdge/${i}`, c, (input, r) => newSize(new ResizeShortestEdge(options).draw(input, r)), c.new_hw);
  });
  choices.FixedSizeCrop_ResizeScale.forEach((c, i) => {
    const name = `${c.type}/${i}`;
    if (c.type === 'FixedSizeCrop') {
      const [height, width] = c.crop_size;
      judge(name, c, (input, r) => cropAndPad(new FixedSizeCrop({ height, width }).draw(input, r)), { crop: c.crop, pad: c.pad });
    } else {
      const [targetHeight, targetWidth] = c.target_hw;
      const options = { minScale: c.min_scale, maxScale: c.max_scale, targetHeight, targetWidth };
      judge(name, c, (input, r) => newSize(new ResizeScale(options).draw(input, r)), c.new_hw);
    }
  });
  choices.gen_crop_transform_with_instance.forEach((c, i) => {
    const [x, y, w, h] = c.bbox_xywh as [number, number, number, number];
    judge(
      `gen_crop_transform_with_instance/${i}`,
      c,
      ({ image }, r) => crop(cropWithInstance(c.crop_size, image, [x, y, x + w, y + h], r)),
      c.crop,
    );
  });
  choices.RandomFlip.forEach((c, i) => {
    const image = { data: new Uint8Array(6), height: 2, width: 3, channels: 1 };
    const result = new RandomFlip('horizontal', c.prob).draw({ image }, new ScriptedNumbers([c.random]));
    add(compareValues({ case: caseName, name: `RandomFlip/${i}` }, result.constructor.name, c.result, { abs: 0 }));
  });
}

function crop(transform: Transform | undefined): unknown {
  if (!(transform instanceof CropTransform)) return transform?.constructor.name;
  return { x0: transform.x0, y0: transform.y0, w: transform.width, h: transform.height };
}

function newSize(transform: Transform): unknown {
  return transform instanceof ResizeTransform ? [transform.newHeight, transform.newWidth] : null;
}

function cropAndPad(transform: Transform): unknown {
  if (!(transform instanceof TransformList)) return transform.constructor.name;
  const [first, second] = transform.transforms;
  if (!(second instanceof PadTransform)) return second?.constructor.name;
  const { left, top, right, bottom } = second.options;
  return { crop: crop(first), pad: { x0: left, y0: top, x1: right, y1: bottom } };
}
