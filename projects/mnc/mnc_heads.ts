import * as tf from '@tensorflow/tfjs-core';
import type { Config } from '../../src/config/index.js';
import { boxLossFromConfig } from '../../src/losses/box_regression.js';
import { gatherRows } from '../../src/losses/gather_rows.js';
import type { TrainingPass } from '../../src/meta_arch/training_pass.js';
import { readBack } from '../../src/ops/read_back.js';
import {
  type FeatureMaps,
  type FeatureShapes,
  Linear,
  Module,
  RoiHeads,
  roiHeads,
  type RoiLosses,
} from '../../src/registry/index.js';
import { allClasses, boxLosses, classificationMetrics } from '../../src/roi_heads/box_losses.js';
import { BoxPredictor } from '../../src/roi_heads/box_predictor.js';
import type { Detections, DetectionSelection } from '../../src/roi_heads/fast_rcnn_inference.js';
import { maskBatch, maskLoss, maskMetrics } from '../../src/roi_heads/mask_loss.js';
import type { ChooseDetections, RawInstances, RoiProposals } from '../../src/roi_heads/roi_heads.js';
import { RoiPooler } from '../../src/roi_heads/roi_pooler.js';
import { type SampledProposals, sampleProposals } from '../../src/roi_heads/sample_proposals.js';
import type { RoiTrainingOptions } from '../../src/roi_heads/standard_roi_heads.js';
import { softNmsFromConfig } from '../../src/roi_heads/suppress_detections.js';
import type { Proposals } from '../../src/rpn/find_top_proposals.js';
import { Matcher } from '../../src/rpn/matcher.js';
import type { Trace } from '../../src/rpn/rpn.js';
import type { Permutations } from '../../src/rpn/subsample_labels.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';

/** Stage 2: a mask for whatever a box holds, of no class: two fully connected layers on the pooled box. */
export class MaskStage extends Module {
  private readonly fc: Linear;
  private readonly predictor: Linear;

  /** @param side of the pooled box, in bins; the mask has twice as many */
  constructor(
    inChannels: number,
    private readonly side: number,
    width: number,
  ) {
    super();
    const inFeatures = side * side * inChannels;
    const flattenedFrom = [side, side, inChannels] as const;
    this.fc = this.child('fc', new Linear({ inFeatures, outFeatures: width, flattenedFrom, activation: 'relu' }));
    const init = { kind: 'normal', std: 0.01 } as const;
    this.predictor = this.child('predictor', new Linear({ inFeatures: width, outFeatures: 4 * side * side, init }));
  }

  /** @param pooled [R, side, side, C] @returns logits [R, 2 side, 2 side, 1] */
  forward(pooled: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const flat = tf.reshape(pooled, [pooled.shape[0], -1]) as tf.Tensor2D;
      return tf.reshape(this.predictor.forward(this.fc.forward(flat)), [-1, 2 * this.side, 2 * this.side, 1]);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward((Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D);
  }
}

export interface MncOptions {
  readonly inChannels: number;
  readonly pooler: RoiPooler;
  /** Widths of the mask stage and of each of the two paths that classify. */
  readonly maskWidth: number;
  readonly width: number;
  readonly predictor: Omit<ConstructorParameters<typeof BoxPredictor>[0], 'inFeatures'>;
  readonly selection: DetectionSelection;
  readonly training: RoiTrainingOptions;
}

/** What the stages give for R regions. */
export type MncOutputs = { maskLogits: tf.Tensor4D; logits: tf.Tensor2D; deltas: tf.Tensor2D };

/**
 * Multi-task Network Cascades (Dai, He, Sun 2016), three stages on shared features: boxes, a mask of no class in each box, and the class of the masked
 * features beside the plain ones. The classification loss reaches the masks: they are part of its input.
 */
export class MncHeads extends RoiHeads {
  readonly maskStage: MaskStage;
  private readonly boxPath: Linear;
  private readonly maskPath: Linear;
  private readonly predictor: BoxPredictor;

  constructor(readonly options: MncOptions) {
    super();
    const { inChannels, pooler, maskWidth, width } = options;
    const side = pooler.options.outputSize;
    const path = {
      inFeatures: side * side * inChannels,
      outFeatures: width,
      flattenedFrom: [side, side, inChannels] as const,
      activation: 'relu',
      init: { kind: 'xavier' },
    } as const;
    this.maskStage = this.child('mask_stage', new MaskStage(inChannels, side, maskWidth));
    this.boxPath = this.child('box_path', new Linear(path));
    this.maskPath = this.child('mask_path', new Linear(path));
    this.predictor = this.child('box_predictor', new BoxPredictor({ ...options.predictor, inFeatures: 2 * width }));
  }

  static fromConfig(cfg: Config, features: FeatureShapes): MncHeads {
    const { ROI_HEADS: heads, ROI_BOX_HEAD: box, ROI_MASK_HEAD: mask } = cfg.MODEL;
    const inChannels = features[heads.IN_FEATURES[0]].channels;
    const { numClasses, classAgnostic, transform } = BoxPredictor.fromConfig(cfg, 1).options;
    return new MncHeads({
      inChannels,
      pooler: RoiPooler.fromConfig(box, heads.IN_FEATURES, features),
      maskWidth: mask.CONV_DIM,
      width: box.FC_DIM,
      predictor: { numClasses, classAgnostic, transform },
      selection: {
        scoreThreshold: heads.SCORE_THRESH_TEST,
        nmsThreshold: heads.NMS_THRESH_TEST,
        topK: cfg.TEST.DETECTIONS_PER_IMAGE,
        softNms: softNmsFromConfig(cfg),
      },
      training: {
        sampling: {
          matcher: new Matcher({ thresholds: heads.IOU_THRESHOLDS, labels: heads.IOU_LABELS, allowLowQualityMatches: false }),
          batchSizePerImage: heads.BATCH_SIZE_PER_IMAGE,
          positiveFraction: heads.POSITIVE_FRACTION,
          appendGroundTruth: heads.PROPOSAL_APPEND_GT,
          numClasses: heads.NUM_CLASSES,
        },
        loss: { boxLoss: boxLossFromConfig(box), boxWeight: box.BBOX_REG_LOSS_WEIGHT },
      },
    });
  }

  protected override get selection(): DetectionSelection {
    return this.options.selection;
  }

  /** The masks are those of stage 2; there is no branch beside it. */
  protected override get mask(): undefined {
    return undefined;
  }

  protected get keypoint(): undefined {
    return undefined;
  }

  /** All stages after the boxes. @param pooled [R, side, side, C], R > 0 */
  stages(pooled: tf.Tensor4D): MncOutputs {
    return tf.tidy(() => {
      const maskLogits = this.maskStage.forward(pooled);
      // The mask as large as the pooled box: each bin has the mean of its four pixels.
      const masked = tf.mul<tf.Tensor4D>(pooled, tf.avgPool(tf.sigmoid(maskLogits), 2, 2, 'valid'));
      const flat = (maps: tf.Tensor4D): tf.Tensor2D => tf.reshape(maps, [maps.shape[0], -1]);
      const hidden = tf.concat([this.boxPath.forward(flat(pooled)), this.maskPath.forward(flat(masked))], 1);
      return { maskLogits, ...this.predictor.forward(hidden) };
    });
  }

  override sample(proposals: readonly Proposals[], samples: readonly TrainingSample[], order: Permutations): SampledProposals[] {
    const { sampling } = this.options.training;
    return proposals.map(({ boxes }, i) => sampleProposals(boxes, samples[i].groundTruth, sampling, order));
  }

  override learn(
    features: FeatureMaps,
    sampled: readonly SampledProposals[],
    samples: readonly TrainingSample[],
    pass: TrainingPass,
  ): Promise<RoiLosses> {
    const { pooler, training } = this.options;
    const classes = allClasses(sampled);
    const foreground = foregroundRows(sampled);
    const metrics = { 'roi_head/num_fg_samples': foreground.length / sampled.length };
    if (classes.length === 0) {
      const losses = { loss_cls: tf.scalar(0), loss_box_reg: tf.scalar(0), loss_mask: tf.scalar(0) };
      return Promise.resolve({ losses, metrics, pending: [] });
    }
    const batch = maskBatch(sampled, samples, 2 * pooler.options.outputSize);
    const boxes = sampled.map((image) => image.boxes);
    const { logits, counts, ...losses } = pass.record(() =>
      tf.tidy(() => {
        const { maskLogits, ...predicted } = this.stages(pooler.forward(features, boxes));
        const masks =
          foreground.length === 0
            ? { loss_mask: tf.scalar(0), counts: tf.zeros([3]) }
            : maskLoss(gatherRows(maskLogits, foreground), batch);
        return { ...boxLosses(predicted, sampled, this.predictor.transform, training.loss), ...masks, logits: predicted.logits };
      }),
    );
    const pending = [
      { values: logits, toMetrics: (values: Float32Array) => classificationMetrics(values, classes) },
      { values: counts, toMetrics: (values: Float32Array) => maskMetrics(values, batch.targets.length) },
    ];
    return Promise.resolve({ losses, metrics, pending });
  }

  protected override inferBoxes(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    _trace?: Trace,
    _mostProposals?: number,
    choose?: ChooseDetections,
  ): Promise<Detections[]> {
    const regions = proposals instanceof tf.Tensor ? proposals : proposals.map(({ boxes }) => boxes);
    const predict = () => {
      const { logits, deltas } = this.stages(this.options.pooler.forward(features, regions));
      return { scores: tf.softmax(logits), deltas };
    };
    return this.detect(proposals, imageSizes, this.predictor.transform, predict, choose);
  }

  /** As the paper's five stages: the mask stage looks once more, at the boxes that were found. */
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

/** Rows of the foreground among all sampled regions. */
function foregroundRows(sampled: readonly SampledProposals[]): Int32Array<ArrayBuffer> {
  const rows: number[] = [];
  let first = 0;
  for (const { foregroundCount, classes } of sampled) {
    for (let i = 0; i < foregroundCount; i++) rows.push(first + i);
    first += classes.length;
  }
  return Int32Array.from(rows);
}

/** Makes `MODEL.ROI_HEADS.NAME MNCHeads` known; the returned function takes it back. */
export function registerMnc(): () => void {
  return roiHeads.register('MNCHeads', (cfg, features) => MncHeads.fromConfig(cfg, features));
}
