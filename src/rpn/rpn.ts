import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Module } from '../layers/module.js';
import { boxLossFromConfig } from '../losses/box_regression.js';
import { readBack } from '../ops/read_back.js';
import { orderOfImage, type Permutations } from './subsample_labels.js';
import { AnchorGenerator } from './anchor_generator.js';
import { Box2BoxTransform } from './box_transform.js';
import { findTopProposals, type LevelSize, type Proposals, type ProposalSelection } from './find_top_proposals.js';
import { type AnchorSampling, labelAnchors, type LabelledAnchors } from './label_anchors.js';
import { Matcher } from './matcher.js';
import { hasProposalKernel, selectProposals, splitProposals } from './proposal_kernel.js';
import { type AnchorHead, RpnHead } from './rpn_head.js';
import { type RpnLossOptions, rpnLosses } from './rpn_losses.js';
import './proposal_kernel_webgl.js';
import './proposal_kernel_webgpu.js';

/** Sees intermediate tensors by name; whoever wants to keep one clones it. */
export type Trace = (name: string, value: tf.Tensor) => void;

export interface RpnOptions {
  readonly inFeatures: readonly string[];
  readonly head: Module & AnchorHead;
  readonly anchorGenerator: AnchorGenerator;
  readonly transform: Box2BoxTransform;
  readonly selection: ProposalSelection;
  readonly training: RpnTrainingOptions;
}

/** How the network learns and what it proposes meanwhile. */
export interface RpnTrainingOptions {
  readonly selection: ProposalSelection;
  readonly sampling: AnchorSampling;
  readonly loss: RpnLossOptions;
}

/** Logits and deltas of all levels, finest first. */
export type RpnOutputs = { logits: tf.Tensor4D[]; deltas: tf.Tensor4D[] };

/** Region proposal network (Ren et al. 2015) over a feature pyramid. */
export class Rpn extends Module {
  constructor(readonly options: RpnOptions) {
    super();
    this.child('rpn_head', options.head);
  }

  static fromConfig(cfg: Config, features: FeatureShapes): Rpn {
    return new Rpn(Rpn.optionsFromConfig(cfg, features));
  }

  protected static optionsFromConfig(cfg: Config, features: FeatureShapes): RpnOptions {
    const { RPN: rpn, PROPOSAL_GENERATOR: generator } = cfg.MODEL;
    if (generator.NAME !== 'RPN') throw new ConfigError(`MODEL.PROPOSAL_GENERATOR.NAME is ${generator.NAME}; expected RPN.`);
    const shapes = rpn.IN_FEATURES.map((name) => {
      if (!features[name])
        throw new ConfigError(`MODEL.RPN.IN_FEATURES names ${name}; the backbone gives ${Object.keys(features).join(', ')}.`);
      return features[name];
    });
    const anchorGenerator = AnchorGenerator.fromConfig(
      cfg,
      shapes.map(({ stride }) => stride),
    );
    return {
      inFeatures: rpn.IN_FEATURES,
      head: RpnHead.fromConfig(cfg, shapes[0].channels, anchorGenerator.anchorsPerLocation),
      anchorGenerator,
      transform: new Box2BoxTransform(rpn.BBOX_REG_WEIGHTS),
      selection: {
        nmsThreshold: rpn.NMS_THRESH,
        preNmsTopK: rpn.PRE_NMS_TOPK_TEST,
        postNmsTopK: rpn.POST_NMS_TOPK_TEST,
        minBoxSize: Rpn.minBoxSize(cfg),
      },
      training: Rpn.trainingFromConfig(cfg),
    };
  }

  /** torchvision keeps sides from 1e-3 on; no float32 lies between the double and the float32 of that name. */
  private static minBoxSize({ MODEL }: Config): number {
    return MODEL.CONVENTIONS === 'torchvision' ? 1e-3 : MODEL.PROPOSAL_GENERATOR.MIN_SIZE;
  }

  private static trainingFromConfig(cfg: Config): RpnTrainingOptions {
    const { RPN: rpn } = cfg.MODEL;
    return {
      selection: {
        nmsThreshold: rpn.NMS_THRESH,
        preNmsTopK: rpn.PRE_NMS_TOPK_TRAIN,
        postNmsTopK: rpn.POST_NMS_TOPK_TRAIN,
        minBoxSize: Rpn.minBoxSize(cfg),
        mustBeFinite: true,
      },
      sampling: {
        matcher: new Matcher({ thresholds: rpn.IOU_THRESHOLDS, labels: rpn.IOU_LABELS, allowLowQualityMatches: true }),
        batchSizePerImage: rpn.BATCH_SIZE_PER_IMAGE,
        positiveFraction: rpn.POSITIVE_FRACTION,
        boundaryThreshold: rpn.BOUNDARY_THRESH,
      },
      loss: {
        boxLoss: boxLossFromConfig(rpn),
        objectnessWeight: rpn.LOSS_WEIGHT,
        boxWeight: rpn.LOSS_WEIGHT * rpn.BBOX_REG_LOSS_WEIGHT,
        batchSizePerImage: rpn.BATCH_SIZE_PER_IMAGE,
      },
    };
  }

  /** @param features p2 .. p6 by name, each [N, H, W, C] */
  forward(features: FeatureMaps): RpnOutputs {
    return tf.tidy(() => {
      const outputs = this.options.inFeatures.map((name) => this.options.head.forward(features[name]));
      return { logits: outputs.map(({ logits }) => logits), deltas: outputs.map(({ deltas }) => deltas) };
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor[] {
    const list = Array.isArray(inputs) ? inputs : [inputs];
    const { logits, deltas } = this.forward(
      Object.fromEntries(this.options.inFeatures.map((name, i) => [name, list[i] as tf.Tensor4D])),
    );
    return [...logits, ...deltas];
  }

  /**
   * Selects proposals without waiting for the device.
   * @param imageSizes (height, width) of each image inside the padded input
   * @param selection  the test or the training numbers
   * @returns          [R, 6] as (image, x0, y0, x1, y1, logit), the caller's to dispose; undefined where the backend has no kernel for it
   */
  proposeOnDevice(
    { logits, deltas }: RpnOutputs,
    imageSizes: readonly (readonly [number, number])[],
    selection = this.options.selection,
  ): tf.Tensor2D | undefined {
    if (!hasProposalKernel()) return undefined;
    const { transform } = this.options;
    const anchors = this.options.anchorGenerator.forMaps(sizesOf(logits));
    return selectProposals(logits, deltas, { anchors, transform, selection, imageSizes });
  }

  /**
   * Selects proposals and reads them back, once for the whole batch; where the backend cannot select, reads the outputs back instead.
   * @param imageSizes (height, width) of each image inside the padded input
   * @param selection  the test or the training numbers
   */
  async propose(
    outputs: RpnOutputs,
    imageSizes: readonly (readonly [number, number])[],
    selection = this.options.selection,
  ): Promise<Proposals[]> {
    const onDevice = this.proposeOnDevice(outputs, imageSizes, selection);
    if (onDevice) return readProposals(onDevice, imageSizes.length).finally(() => onDevice.dispose());
    const { logits, deltas } = outputs;
    const levels: LevelSize[] = sizesOf(logits);
    const batch = imageSizes.length;
    const flat = tf.tidy(() => tf.concat([...logits, ...deltas].map((map) => tf.reshape(map, [batch, -1])), 1)); // prettier-ignore
    const values = await readBack(flat);
    flat.dispose();
    const perImage = values.length / batch;
    const { transform } = this.options;
    const anchors = this.options.anchorGenerator.forMaps(levels);
    return imageSizes.map((size, i) =>
      findTopProposals(values.subarray(i * perImage, (i + 1) * perImage), levels, size, anchors, transform, selection),
    );
  }

  /** Anchors of all levels for maps of these outputs' sizes, [total, 4]. */
  anchorsOf({ logits }: RpnOutputs): Float32Array<ArrayBuffer> {
    return this.options.anchorGenerator.levels(sizesOf(logits));
  }

  /**
   * Labels the anchors of every image and draws those that are trained.
   * @param boxes      per image [G, 4]
   * @param imageSizes (height, width) of each image inside the padded input
   */
  label(
    anchors: Float32Array,
    boxes: readonly Float32Array[],
    imageSizes: readonly (readonly [number, number])[],
    order: Permutations,
  ): LabelledAnchors[] {
    const { sampling } = this.options.training;
    return boxes.map((list, i) => labelAnchors(anchors, list, imageSizes[i], sampling, orderOfImage(order, i)));
  }

  /** The losses of outputs whose anchors were labelled; a differentiable function of the outputs. */
  computeLosses(
    outputs: RpnOutputs,
    anchors: Float32Array,
    labelled: readonly LabelledAnchors[],
  ): { loss_rpn_cls: tf.Scalar; loss_rpn_loc: tf.Scalar } {
    return rpnLosses(outputs, anchors, labelled, this.options.transform, this.options.training.loss);
  }
}

function sizesOf(maps: readonly tf.Tensor4D[]): LevelSize[] {
  return maps.map(({ shape }) => ({ height: shape[1], width: shape[2] }));
}

/** Reads what `proposeOnDevice` gave. @param proposals [R, 6] */
export async function readProposals(proposals: tf.Tensor2D, images: number): Promise<Proposals[]> {
  return splitProposals(proposals.shape[0] === 0 ? new Float32Array(0) : await readBack(proposals), images);
}
