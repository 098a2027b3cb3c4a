import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../../src/config/index.js';
import {
  allClasses,
  boxHeadLosses,
  boxLossFromConfig,
  BoxPredictor,
  type Box2BoxTransform,
  classificationMetrics,
  decodeDeltas,
  type Detections,
  type DetectionSelection,
  type FeatureMaps,
  type FeatureShapes,
  gatherRows,
  type LabelledRegions,
  type LearntStage,
  Linear,
  maskBatch,
  maskLoss,
  maskMetrics,
  Matcher,
  Module,
  MultiStageRoiHeads,
  type MultiStageTraining,
  type RawInstances,
  readBack,
  type RegionOrigin,
  roiHeads,
  RoiPooler,
  type SampledProposals,
  softNmsFromConfig,
  type StageRegions,
  type TrainingSample,
} from '../../src/registry/index.js';
import { warpRegions } from './roi_warping.js';

/** A mask for whatever a box holds, of no class: two fully connected layers on the pooled box at half its resolution. */
export class MaskStage extends Module {
  private readonly fc: Linear;
  private readonly predictor: Linear;

  /** @param side of the pooled box, in bins: even; the mask has twice as many */
  constructor(
    inChannels: number,
    private readonly side: number,
    width: number,
  ) {
    super();
    const half = side / 2;
    const flattenedFrom = [half, half, inChannels] as const;
    const inFeatures = half * half * inChannels;
    this.fc = this.child('fc', new Linear({ inFeatures, outFeatures: width, flattenedFrom, activation: 'relu' }));
    const init = { kind: 'normal', std: 0.01 } as const;
    this.predictor = this.child('predictor', new Linear({ inFeatures: width, outFeatures: 4 * side * side, init }));
  }

  /** @param pooled [R, side, side, C] @returns logits [R, 2 side, 2 side, 1] */
  forward(pooled: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() =>
      tf.reshape(this.predictor.forward(this.fc.forward(halved(pooled))), [-1, 2 * this.side, 2 * this.side, 1]),
    );
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward((Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D);
  }
}

export interface MncOptions {
  readonly inChannels: number;
  /** Aligned, with a number of samples that does not depend on the box, and an even number of bins. */
  readonly pooler: RoiPooler;
  /** Widths of the mask stage and of each of the two paths that classify. */
  readonly maskWidth: number;
  readonly width: number;
  readonly numClasses: number;
  readonly transform: Box2BoxTransform;
  readonly selection: DetectionSelection;
  /** As many matchers as rounds. */
  readonly training: MultiStageTraining;
}

/** Masks and classes are found twice, the second time on the boxes that the first has moved. */
const ROUNDS = 2;

/** What one round gives for R regions. */
export type MncOutputs = { maskLogits: tf.Tensor4D; logits: tf.Tensor2D; deltas: tf.Tensor2D };

/**
 * Multi-task Network Cascades (Dai, He, Sun 2016) of five stages on shared features: boxes from the proposal network, a mask of no class in each (2), the class
 * of the masked features beside the plain ones with a move of the box (3), and both again on the moved boxes, with the same weights (4 and 5). All is learnt
 * jointly: what classifies reaches the masks, which are part of its input, and what is learnt on the moved boxes reaches the layer that moved them.
 */
export class MncHeads extends MultiStageRoiHeads {
  readonly maskStage: MaskStage;
  private readonly boxPath: Linear;
  private readonly maskPath: Linear;
  private readonly predictor: BoxPredictor;

  constructor(readonly options: MncOptions) {
    super();
    const { inChannels, pooler, maskWidth, width, numClasses, transform } = options;
    const side = pooler.options.outputSize;
    const half = side / 2;
    const path = {
      inFeatures: half * half * inChannels,
      outFeatures: width,
      flattenedFrom: [half, half, inChannels] as const,
      activation: 'relu',
      init: { kind: 'xavier' },
    } as const;
    this.maskStage = this.child('mask_stage', new MaskStage(inChannels, side, maskWidth));
    this.boxPath = this.child('box_path', new Linear(path));
    this.maskPath = this.child('mask_path', new Linear(path));
    const predictor = { inFeatures: 2 * width, numClasses, classAgnostic: true, transform };
    this.predictor = this.child('box_predictor', new BoxPredictor(predictor));
  }

  static fromConfig(cfg: Config, features: FeatureShapes): MncHeads {
    const { ROI_HEADS: heads, ROI_BOX_HEAD: box, ROI_MASK_HEAD: mask } = cfg.MODEL;
    const matcher = new Matcher({ thresholds: heads.IOU_THRESHOLDS, labels: heads.IOU_LABELS, allowLowQualityMatches: false });
    // One sample a bin, as in the paper, where the config leaves the number to the size of the box: pooling would jump where it changes.
    const samplingRatio = box.POOLER_SAMPLING_RATIO || 1;
    const pooler = RoiPooler.fromConfig({ ...box, POOLER_TYPE: 'ROIAlignV2' }, heads.IN_FEATURES, features);
    return new MncHeads({
      inChannels: features[heads.IN_FEATURES[0]].channels,
      pooler: new RoiPooler({ ...pooler.options, samplingRatio }),
      maskWidth: mask.CONV_DIM,
      width: box.FC_DIM,
      numClasses: heads.NUM_CLASSES,
      transform: BoxPredictor.fromConfig(cfg, 1).options.transform,
      selection: {
        scoreThreshold: heads.SCORE_THRESH_TEST,
        nmsThreshold: heads.NMS_THRESH_TEST,
        topK: cfg.TEST.DETECTIONS_PER_IMAGE,
        softNms: softNmsFromConfig(cfg),
      },
      training: {
        sampling: {
          batchSizePerImage: heads.BATCH_SIZE_PER_IMAGE,
          positiveFraction: heads.POSITIVE_FRACTION,
          appendGroundTruth: heads.PROPOSAL_APPEND_GT,
          numClasses: heads.NUM_CLASSES,
        },
        matchers: new Array<Matcher>(ROUNDS).fill(matcher),
        loss: { boxLoss: boxLossFromConfig(box), boxWeight: box.BBOX_REG_LOSS_WEIGHT },
      },
    });
  }

  protected override get boxPooler(): RoiPooler {
    return this.options.pooler;
  }

  protected override get transforms(): readonly Box2BoxTransform[] {
    return this.training.matchers.map(() => this.options.transform);
  }

  protected override get training(): MultiStageTraining {
    return this.options.training;
  }

  protected override get selection(): DetectionSelection {
    return this.options.selection;
  }

  /** The masks are those of the mask stage; there is no branch beside it. */
  protected override get mask(): undefined {
    return undefined;
  }

  protected get keypoint(): undefined {
    return undefined;
  }

  /** A mask and the class of what it shows. @param pooled [R, side, side, C], R > 0 */
  round(pooled: tf.Tensor4D): MncOutputs {
    return tf.tidy(() => {
      const maskLogits = this.maskStage.forward(pooled);
      // The mask as large as the pooled box: each bin has the mean of its four pixels.
      const masked = tf.mul<tf.Tensor4D>(pooled, tf.avgPool(tf.sigmoid(maskLogits), 2, 2, 'valid'));
      const hidden = tf.concat([this.boxPath.forward(halved(pooled)), this.maskPath.forward(halved(masked))], 1);
      return { maskLogits, ...this.predictor.forward(hidden) };
    });
  }

  protected override predictStage(pooled: tf.Tensor4D): Omit<MncOutputs, 'maskLogits'> {
    const { maskLogits, ...predicted } = this.round(pooled);
    maskLogits.dispose();
    return predicted;
  }

  protected override learnStage(
    features: FeatureMaps,
    regions: readonly StageRegions[],
    _stage: number,
    samples: readonly TrainingSample[],
    origin: RegionOrigin | undefined,
  ): LearntStage {
    const { pooler, training, transform } = this.options;
    const classes = allClasses(regions);
    const foreground = foregroundOf(regions, training.sampling.numClasses);
    const counts = { loss_cls: classes.length, loss_box_reg: classes.length, loss_mask: foreground.rows.length };
    if (classes.length === 0) {
      const losses = { loss_cls: tf.scalar(0), loss_box_reg: tf.scalar(0), loss_mask: tf.scalar(0) };
      return { losses, counts, deltas: tf.zeros([0, 4]), pending: [] };
    }
    const batch = maskBatch(foreground.regions, samples, 2 * pooler.options.outputSize);
    const boxes = regions.map((image) => image.boxes);
    const { logits, deltas, pixels, ...losses } = tf.tidy(() => {
      const plain = pooler.forward(features, boxes);
      const pooled = origin
        ? warpRegions(plain, movedCorners(origin, transform, samples), features, boxes, pooler.options)
        : plain;
      const { maskLogits, ...predicted } = this.round(pooled);
      const masks =
        foreground.rows.length === 0
          ? { loss_mask: tf.scalar(0), counts: tf.zeros([3]) }
          : maskLoss(gatherRows(maskLogits, foreground.rows), batch);
      const { loss_mask, counts: pixels } = masks;
      return { ...boxHeadLosses(predicted, regions, transform, training.loss), loss_mask, pixels, ...predicted };
    });
    const pending = [
      { values: logits, toMetrics: (values: Float32Array) => classificationMetrics(values, classes) },
      { values: pixels, toMetrics: (values: Float32Array) => maskMetrics(values, batch.targets.length) },
    ];
    return { losses, counts, deltas, pending };
  }

  /** The mask stage looks once more, at the boxes that were found. */
  protected override async inferOnBoxes(features: FeatureMaps, found: readonly Detections[]): Promise<RawInstances[]> {
    const size = 2 * this.options.pooler.options.outputSize;
    const boxes = found.map((image) => image.boxes);
    let values = new Float32Array(0);
    if (boxes.some(({ length }) => length > 0)) {
      const probabilities = tf.tidy(() => tf.sigmoid(this.maskStage.forward(this.options.pooler.forward(features, boxes))));
      values = Float32Array.from(await readBack(probabilities));
      probabilities.dispose();
    }
    let at = 0;
    return found.map((image) => {
      const probabilities = values.subarray(at, (at += image.scores.length * size * size));
      return { ...image, masks: { size, probabilities } };
    });
  }
}

/** The largest of every 2 x 2 bins, flat. @param maps [R, s, s, C] @returns [R, (s / 2)^2 C] */
function halved(maps: tf.Tensor4D): tf.Tensor2D {
  return tf.reshape(tf.maxPool(maps, 2, 2, 'valid'), [maps.shape[0], -1]);
}

/**
 * The corners of a round's boxes as a function of what moved them, clipped to their pictures.
 * @returns [R, 4], image after image
 */
export function movedCorners(
  { deltas, regions, kept }: RegionOrigin,
  transform: Box2BoxTransform,
  samples: readonly Pick<TrainingSample, 'height' | 'width'>[],
): tf.Tensor2D {
  return tf.tidy(() => {
    const sources = Float32Array.from(regions.flatMap(({ boxes }) => [...boxes]));
    const limits = regions.flatMap(({ classes }, i) => {
      const { width, height } = samples[i];
      return Array.from(classes, () => [width, height, width, height]);
    });
    const moved = decodeDeltas(deltas, sources, transform);
    const clipped = tf.minimum<tf.Tensor2D>(tf.maximum(moved, 0), tf.tensor2d(limits, [limits.length, 4]));
    let first = 0;
    const rows = regions.flatMap(({ classes }, i) => {
      const own = Array.from(kept[i], (row) => first + row);
      first += classes.length;
      return own;
    });
    return gatherRows(clipped, Int32Array.from(rows));
  });
}

/** The foreground: its rows among all regions, and per image as what masks are made for. */
function foregroundOf(
  regions: readonly (LabelledRegions & Pick<SampledProposals, 'matches'>)[],
  background: number,
): { readonly rows: Int32Array<ArrayBuffer>; readonly regions: SampledProposals[] } {
  const rows: number[] = [];
  let first = 0;
  const chosen = regions.map(({ boxes, classes, targets, matches }) => {
    const own = Array.from(classes.keys()).filter((i) => classes[i] !== background);
    rows.push(...own.map((i) => first + i));
    first += classes.length;
    const corners = (values: Float32Array) => Float32Array.from(own.flatMap((i) => [...values.subarray(4 * i, 4 * i + 4)]));
    return {
      boxes: corners(boxes),
      classes: Int32Array.from(own, (i) => classes[i]),
      targets: corners(targets),
      foregroundCount: own.length,
      matches: Int32Array.from(own, (i) => matches[i]),
    };
  });
  return { rows: Int32Array.from(rows), regions: chosen };
}

/** Makes `MODEL.ROI_HEADS.NAME MNCHeads` known; the returned function takes it back. */
export function registerMnc(): () => void {
  return roiHeads.register('MNCHeads', (cfg, features) => MncHeads.fromConfig(cfg, features));
}
