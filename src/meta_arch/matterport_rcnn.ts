import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { buildRoiHeads } from '../roi_heads/build_roi_heads.js';
import type { GivenDetections } from '../roi_heads/roi_heads.js';
import { MatterportRpn } from '../rpn/matterport_rpn.js';
import { type ImageList, type InputImage, makeImageList } from '../structures/image_list.js';
import { centredAt, fromNormalised, toNormalised } from '../structures/normalised_boxes.js';
import { buildBackbone } from './build_backbone.js';
import { GeneralizedRcnn, type GeneralizedRcnnOptions } from './generalized_rcnn.js';
import type { Inference, InferenceOptions } from './meta_architecture.js';
import type { BatchLosses } from './training_pass.js';

export interface MatterportRcnnOptions extends GeneralizedRcnnOptions {
  /** Side of the square that every picture is centred in, pixels. */
  readonly inputSize: number;
}

/** Pictures are halved six times, from the stem to p6. */
const SIZE_MULTIPLE = 64;

/**
 * Matterport's Mask R-CNN (2017, TensorFlow 1), for inference with its weights: the parts of `GeneralizedRcnn` under its rules of padding, proposals, pooling
 * and choice of detections. Inside boxes are normalised; what comes out is in the frame of the resized picture as from every model.
 */
export class MatterportRcnn extends GeneralizedRcnn {
  constructor(override readonly options: MatterportRcnnOptions) {
    super(options);
  }

  /** @throws ConfigError where INPUT.MAX_SIZE_TEST, the side of the input, is no multiple of 64 */
  static override fromConfig(cfg: Config): MatterportRcnn {
    const inputSize = cfg.INPUT.MAX_SIZE_TEST;
    if (inputSize <= 0 || inputSize % SIZE_MULTIPLE !== 0)
      throw new ConfigError(
        `INPUT.MAX_SIZE_TEST is ${inputSize}; expected a multiple of ${SIZE_MULTIPLE}, such as 1024: with MODEL.CONVENTIONS matterport it is the side of the input.`,
      );
    const backbone = buildBackbone(cfg);
    return new MatterportRcnn({
      backbone,
      proposalGenerator: MatterportRpn.fromConfig(cfg, backbone.outShapes),
      roiHeads: buildRoiHeads(cfg, backbone.outShapes),
      pixelMean: cfg.MODEL.PIXEL_MEAN,
      pixelStd: cfg.MODEL.PIXEL_STD,
      inputSize,
    });
  }

  /** Centres pictures in a square of black pixels, then normalises: the padding is not zero but minus the mean. */
  override preprocess(images: readonly InputImage[]): ImageList {
    const { inputSize, pixelMean, pixelStd } = this.options;
    const squares = images.map((image): InputImage => {
      const { data, height, width } = image;
      const { left, top } = centredAt([height, width], this.paddedSize);
      const square = new (data instanceof Float32Array ? Float32Array : Uint8Array)(inputSize ** 2 * 3);
      for (let y = 0; y < height; y++)
        square.set(data.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * inputSize + left) * 3);
      return { data: square, height: inputSize, width: inputSize };
    });
    const list = makeImageList(squares, pixelMean, pixelStd, { sizeDivisibility: SIZE_MULTIPLE });
    return { ...list, imageSizes: images.map(({ height, width }) => [height, width]) };
  }

  override async infer(images: readonly InputImage[], options: InferenceOptions = {}): Promise<Inference> {
    return this.inPictures(await super.infer(images, options), images);
  }

  override async inferGiven(
    images: readonly InputImage[],
    given: readonly GivenDetections[],
    options: InferenceOptions = {},
  ): Promise<Inference> {
    const normalised = given.map((boxes, i) => ({
      ...boxes,
      boxes: toNormalised(boxes.boxes, [images[i].height, images[i].width], this.paddedSize),
    }));
    return this.inPictures(await super.inferGiven(images, normalised, options), images);
  }

  /** @throws ConfigError always */
  override computeLosses(): Promise<BatchLosses> {
    throw new ConfigError(
      "MODEL.CONVENTIONS is matterport, whose rules hold for inference; train such weights by Detectron2's: MODEL.CONVENTIONS=detectron2.",
    );
  }

  private get paddedSize(): readonly [number, number] {
    return [this.options.inputSize, this.options.inputSize];
  }

  private inPictures({ instances, ...rest }: Inference, images: readonly InputImage[]): Inference {
    return {
      ...rest,
      instances: instances.map((found, i) => {
        const { height, width } = images[i];
        return { ...found, boxes: fromNormalised(found.boxes, [height, width], this.paddedSize) };
      }),
    };
  }
}
