import type { Config } from '../config/index.js';
import { ConfigError, DatasetError, MaskRcnnError } from '../errors.js';
import type { GroundTruth, TrainingSample } from '../structures/training_sample.js';
import { annotationsToGroundTruth, withMaskBoxes, withoutEmpty, type MaskFormat } from './annotations/instances.js';
import type { SemanticLabels } from './annotations/semantic_map.js';
import { transformAnnotation } from './annotations/transform_annotations.js';
import type { DatasetRecord } from './coco/dataset_records.js';
import { augment, type Augmentation, type RandomNumbers } from './transforms/augmentation.js';
import { FixedSizeCrop, RandomCrop, type CropType } from './transforms/crop_augmentations.js';
import { RandomFlip } from './transforms/flip_augmentation.js';
import { ResizeScale, ResizeShortestEdge } from './transforms/resize_augmentations.js';
import type { Raster } from './transforms/transform.js';

/** Options of {@link DatasetMapper}. */
export interface DatasetMapperOptions {
  /** Applied in order. */
  readonly augmentations: readonly Augmentation[];
  /** Left out: samples have no masks. */
  readonly masks?: MaskFormat;
  /** Number of keypoints of an object; left out: samples have none. */
  readonly keypoints?: number;
  /** For each keypoint the one whose place it takes in a mirrored picture. */
  readonly keypointFlipIndices?: readonly number[];
  /** Take boxes from the transformed masks, as Detectron2 does when it crops; default false. */
  readonly boxesFromMasks?: boolean;
}

/**
 * Turns a picture of a data set and its objects into a training sample, as Detectron2's `DatasetMapper`: augments both, leaves out crowds and
 * objects of which nothing is left. Works on decoded pictures, so it runs in a browser too.
 */
export class DatasetMapper {
  constructor(readonly options: DatasetMapperOptions) {}

  /**
   * Detectron2's augmentations for training: crop and resize, or large-scale jitter, then flip (section INPUT).
   * @param options `augmentations` go in the place of those; `boxesFromMasks` is then up to the caller
   */
  static fromConfig(
    cfg: Config,
    {
      augmentations: own,
      ...options
    }: Partial<Pick<DatasetMapperOptions, 'augmentations' | 'keypointFlipIndices' | 'boxesFromMasks'>> = {},
  ): DatasetMapper {
    const { INPUT: input, MODEL: model } = cfg;
    const augmentations = input.SCALE_JITTER.ENABLED ? scaleJitter(input) : cropAndResize(input);
    if (input.RANDOM_FLIP !== 'none') augmentations.push(new RandomFlip(input.RANDOM_FLIP as 'horizontal' | 'vertical'));
    return new DatasetMapper({
      augmentations: own ?? augmentations,
      boxesFromMasks: own === undefined && (input.CROP.ENABLED || input.SCALE_JITTER.ENABLED) && model.MASK_ON,
      ...(model.MASK_ON ? { masks: input.MASK_FORMAT as MaskFormat } : {}),
      ...(model.KEYPOINT_ON ? { keypoints: model.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS } : {}),
      ...options,
    });
  }

  /**
   * @param image    [H, W, 3] in the channel order that the model wants, orientation applied
   * @param semantic the class of each pixel, where the data set has stuff: moved with the picture, never mixed
   * @throws DatasetError naming the file when the picture or the map has another size than the data set says, or an object lacks what is needed
   */
  map(image: Raster<Uint8Array>, record: DatasetRecord, random: RandomNumbers, semantic?: SemanticLabels): TrainingSample {
    const name = record.file_name;
    if (semantic && (semantic.height !== image.height || semantic.width !== image.width))
      throw new DatasetError(
        `${record.sem_seg_file_name ?? `The semantic map of ${name}`} has ${semantic.width} x ${semantic.height} pixels, the picture ${image.width} x ${image.height}; they must be equal.`,
      );
    if (image.height !== record.height || image.width !== record.width)
      throw new DatasetError(
        `${name} has ${image.width} x ${image.height} pixels (width x height), the data set says ${record.width} x ${record.height}; ` +
          'correct the data set (an orientation in EXIF counts).',
      );
    const objects = record.annotations.filter((a) => !a.iscrowd);
    const boxes = Float64Array.from(objects.flatMap((a) => (a.bbox?.length === 4 ? cornersOf(a.bbox) : [0, 0, 0, 0])));
    const labels = semantic && { ...semantic, channels: 1 };
    const augmented = augment({ image, boxes, ...(labels ? { labels } : {}) }, this.options.augmentations, random);
    const { height, width } = augmented.image;
    const groundTruth = this.groundTruth(record, objects, augmented.transform, { height, width });
    const data = augmented.image.data;
    if (!(data instanceof Uint8Array))
      throw new DatasetError(`${name}: the augmentations gave float samples; training takes 8-bit ones.`);
    const moved = augmented.labels ? { semantic: augmented.labels.data as Uint8Array } : {};
    return { data, height, width, imageId: record.image_id, fileName: name, groundTruth, ...moved };
  }

  private groundTruth(
    record: DatasetRecord,
    objects: DatasetRecord['annotations'],
    transform: ReturnType<typeof augment>['transform'],
    target: { height: number; width: number },
  ): GroundTruth {
    const { masks, keypoints, keypointFlipIndices, boxesFromMasks } = this.options;
    let number = 0;
    try {
      const moved = objects.map((object, i) => {
        number = i;
        const { segmentation: outline, keypoints: points, ...rest } = object;
        const wanted = {
          ...rest,
          ...(masks && outline ? { segmentation: outline } : {}),
          ...(keypoints !== undefined && points ? { keypoints: points } : {}),
        };
        return transformAnnotation(wanted, transform, { source: record, target, keypointFlipIndices });
      });
      const truth = annotationsToGroundTruth(moved, target, { masks, keypoints });
      return withoutEmpty(boxesFromMasks ? withMaskBoxes(truth, target.width) : truth);
    } catch (error) {
      if (!(error instanceof MaskRcnnError)) throw error;
      throw new DatasetError(
        `${record.file_name} (image ${record.image_id}, object ${number} without crowds): ${error.message}`,
        {
          cause: error,
        },
      );
    }
  }
}

function cropAndResize(input: Config['INPUT']): Augmentation[] {
  const resize = new ResizeShortestEdge({
    shortEdge: input.MIN_SIZE_TRAIN,
    maxSize: input.MAX_SIZE_TRAIN,
    sampling: input.MIN_SIZE_TRAIN_SAMPLING as 'choice' | 'range',
  });
  if (!input.CROP.ENABLED) return [resize];
  return [new RandomCrop(input.CROP.TYPE as CropType, pair('INPUT.CROP.SIZE', 'height and width', input.CROP.SIZE)), resize];
}

/** Large-scale jitter (Ghiasi et al. 2021), as Detectron2's new baselines train with. */
function scaleJitter({ SCALE_JITTER: { SIZE, SCALES }, CROP }: Config['INPUT']): Augmentation[] {
  if (CROP.ENABLED) throw new ConfigError('INPUT.SCALE_JITTER crops by itself; set INPUT.CROP.ENABLED to false.');
  const [height, width] = pair('INPUT.SCALE_JITTER.SIZE', 'height and width', SIZE);
  const [minScale, maxScale] = pair('INPUT.SCALE_JITTER.SCALES', 'the smallest and the largest scale', SCALES);
  return [
    new ResizeScale({ minScale, maxScale, targetHeight: height, targetWidth: width }),
    new FixedSizeCrop({ height, width }),
  ];
}

function pair(key: string, what: string, values: readonly number[]): [number, number] {
  if (values.length !== 2) throw new ConfigError(`${key} needs ${what}, got [${values.join(', ')}].`);
  return values as [number, number];
}

function cornersOf([x, y, width, height]: readonly number[]): number[] {
  return [x, y, x + width, y + height];
}
