import type { Config } from '../config/schema.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import { HFlipTransform } from '../data/transforms/flip.js';
import type { GeneralizedRcnn } from '../meta_arch/generalized_rcnn.js';
import type { InferenceOptions, StageTimes } from '../meta_arch/meta_architecture.js';
import { postprocess } from '../meta_arch/postprocess.js';
import { type Detections, fastRcnnInference } from '../roi_heads/fast_rcnn_inference.js';
import type { RawInstances } from '../roi_heads/roi_heads.js';
import type { InputImage } from '../structures/image_list.js';
import { networkInput } from './network_input.js';

/** A picture as the model sees it once: at one size, mirrored or not. */
interface View {
  readonly input: InputImage;
  readonly mirrored: boolean;
}

/** The part of a model that this needs. */
export type AugmentableModel = Pick<GeneralizedRcnn, 'infer' | 'inferGiven'>;

/**
 * Detects on several sizes of a picture and their mirror images (`TEST.AUG`; Detectron2's `GeneralizedRCNNWithTTA`): the boxes of all views are suppressed
 * together, per class; masks are computed for what is left, in every view, and averaged. All views are made from the picture as it is in the file.
 * @param inputOptions of each inference
 * @returns instances in the frame of the picture, best first
 */
export async function inferAugmented(
  model: AugmentableModel,
  image: Image,
  config: Config,
  inputOptions: (input: InputImage) => InferenceOptions,
): Promise<{ instances: RawInstances; times: StageTimes }> {
  const views = viewsOf(image, config);
  const times = { preprocess: 0, proposals: 0, heads: 0 };
  const add = (more: StageTimes): void => {
    for (const stage of Object.keys(times) as (keyof StageTimes)[]) times[stage] += more[stage];
  };
  const seen: Detections[] = [];
  for (const { input, mirrored } of views) {
    const found = await model.infer([input], { ...inputOptions(input), boxesOnly: true });
    seen.push({ ...found.instances[0], boxes: moveBoxes(found.instances[0].boxes, input, image, mirrored) });
    add(found.times);
  }
  const merged = mergeDetections(seen, image, config);
  if (!config.MODEL.MASK_ON || merged.scores.length === 0)
    return {
      instances: { ...merged, masks: config.MODEL.MASK_ON ? { size: 1, probabilities: new Float32Array(0) } : undefined },
      times,
    };
  let size = 0;
  let sum = new Float32Array(0);
  for (const { input, mirrored } of views) {
    const boxes = mirrored
      ? mirrorBoxes(scaleBoxes(merged.boxes, image, input), input.width)
      : scaleBoxes(merged.boxes, image, input);
    const found = await model.inferGiven([input], [{ ...merged, boxes }], inputOptions(input));
    const { masks } = found.instances[0];
    ({ size } = masks!);
    if (sum.length === 0) sum = new Float32Array(masks!.probabilities.length);
    addMasks(sum, masks!.probabilities, size, mirrored);
    add(found.times);
  }
  const probabilities = sum.map((value) => value / views.length);
  const frame = [image.height, image.width] as const;
  return { instances: postprocess({ ...merged, masks: { size, probabilities } }, frame, frame), times };
}

function viewsOf(image: Image, config: Config): View[] {
  const { MIN_SIZES, MAX_SIZE, FLIP } = config.TEST.AUG;
  return MIN_SIZES.flatMap((size): View[] => {
    const INPUT = { ...config.INPUT, MIN_SIZE_TEST: size, MAX_SIZE_TEST: MAX_SIZE };
    const input = networkInput(image, { INPUT, MODEL: config.MODEL });
    if (!FLIP) return [{ input, mirrored: false }];
    const picture = { ...input, data: input.data as Uint8Array, channels: 3 };
    const { data } = new HFlipTransform(input.width).applyLabels(picture);
    return [
      { input, mirrored: false },
      { input: { ...input, data }, mirrored: true },
    ];
  });
}

/** The boxes of all views as those of one class-agnostic regressor, each with the one score that it had. */
function mergeDetections(seen: readonly Detections[], { height, width }: Image, { MODEL, TEST }: Config): Detections {
  const rows = seen.reduce((sum, { scores }) => sum + scores.length, 0);
  const columns = MODEL.ROI_HEADS.NUM_CLASSES + 1;
  const boxes = new Float32Array(rows * 4);
  const scores = new Float32Array(rows * columns);
  let row = 0;
  for (const view of seen) {
    boxes.set(view.boxes, row * 4);
    view.classes.forEach((label, i) => (scores[(row + i) * columns + label] = view.scores[i]));
    row += view.scores.length;
  }
  return fastRcnnInference(boxes, scores, rows, [height, width], {
    scoreThreshold: 1e-8,
    nmsThreshold: MODEL.ROI_HEADS.NMS_THRESH_TEST,
    topK: TEST.DETECTIONS_PER_IMAGE,
  });
}

interface Size {
  readonly height: number;
  readonly width: number;
}

/** From the frame of a view to that of the picture. */
function moveBoxes(boxes: Float32Array, view: Size, picture: Size, mirrored: boolean): Float32Array<ArrayBuffer> {
  return scaleBoxes(mirrored ? mirrorBoxes(boxes, view.width) : boxes, view, picture);
}

function scaleBoxes(boxes: Float32Array, from: Size, to: Size): Float32Array<ArrayBuffer> {
  const [x, y] = [to.width / from.width, to.height / from.height];
  return Float32Array.from(boxes, (value, i) => value * (i % 2 === 0 ? x : y));
}

function mirrorBoxes(boxes: Float32Array, width: number): Float32Array<ArrayBuffer> {
  // x0 and x1 change places.
  return Float32Array.from(boxes, (value, i) =>
    i % 4 === 0 ? width - boxes[i + 2] : i % 4 === 2 ? width - boxes[i - 2] : value,
  );
}

function addMasks(sum: Float32Array, masks: Float32Array, size: number, mirrored: boolean): void {
  for (let i = 0; i < sum.length; i++) {
    const x = i % size;
    sum[i] += masks[mirrored ? i + size - 1 - 2 * x : i];
  }
}
