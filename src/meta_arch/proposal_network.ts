import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import type { Proposals } from '../rpn/find_top_proposals.js';
import type { LabelledAnchors } from '../rpn/label_anchors.js';
import { readProposals, Rpn, type RpnOutputs, type Trace } from '../rpn/rpn.js';
import type { ImageList, InputImage } from '../structures/image_list.js';
import type { TrainingSample } from '../structures/training_sample.js';
import { buildBackbone } from './build_backbone.js';
import {
  type Inference,
  type InferenceOptions,
  MetaArchitecture,
  type MetaArchitectureOptions,
  type StageTimes,
  traceArray,
} from './meta_architecture.js';
import type { BatchLosses, TrainingPass } from './training_pass.js';

export interface ProposalNetworkOptions extends MetaArchitectureOptions {
  readonly proposalGenerator: Rpn;
}

/** Feature maps and proposals of a batch; the owner disposes of the tensors. */
export interface ProposedBatch {
  readonly features: FeatureMaps;
  /** A tensor [R, 6] as `Rpn.proposeOnDevice` gives it, or values where the backend cannot select. */
  readonly proposals: tf.Tensor2D | Proposals[];
  readonly imageSizes: ImageList['imageSizes'];
  readonly times: Omit<StageTimes, 'heads'>;
}

/** What the first half of a model gives in training; the owner disposes of the maps and the losses. */
export interface LearntProposals {
  readonly features: FeatureMaps;
  /** (height, width) of the padded input. */
  readonly paddedSize: readonly [number, number];
  readonly proposals: Proposals[];
  readonly losses: { loss_rpn_cls: tf.Scalar; loss_rpn_loc: tf.Scalar };
  readonly metrics: Record<string, number>;
}

/** Backbone and region proposals (Ren et al. 2015; Detectron2's `ProposalNetwork`): boxes that may hold something, of no class. */
export class ProposalNetwork extends MetaArchitecture {
  constructor(override readonly options: ProposalNetworkOptions) {
    super(options);
    this.child('proposal_generator', options.proposalGenerator);
  }

  static fromConfig(cfg: Config): ProposalNetwork {
    return new ProposalNetwork(ProposalNetwork.optionsFromConfig(cfg));
  }

  protected static optionsFromConfig(cfg: Config): ProposalNetworkOptions {
    const backbone = buildBackbone(cfg);
    const proposalGenerator = Rpn.fromConfig(cfg, backbone.outShapes);
    return { backbone, proposalGenerator, pixelMean: cfg.MODEL.PIXEL_MEAN, pixelStd: cfg.MODEL.PIXEL_STD };
  }

  override get isDivisible(): boolean {
    return true;
  }

  /** Proposes regions in resized pictures of any sizes, together: class 0, the objectness logit as score. */
  override async infer(images: readonly InputImage[], options: InferenceOptions = {}): Promise<Inference> {
    const { features, proposals, times } = await this.propose(images, options);
    tf.dispose(features);
    const instances = (await hostProposals(proposals, images.length)).map(({ boxes, objectnessLogits }) => ({
      boxes,
      scores: objectnessLogits,
      classes: new Int32Array(objectnessLogits.length),
      rows: Int32Array.from(objectnessLogits, (_, i) => i),
      masks: undefined,
    }));
    return { instances, times: { ...times, heads: 0 } };
  }

  override async computeLosses(samples: readonly TrainingSample[], pass: TrainingPass): Promise<BatchLosses> {
    const { features, losses, metrics } = await this.learnProposals(samples, pass);
    tf.dispose(features);
    return { losses, metrics, pending: [] };
  }

  /** The first half of every two-stage detector in training: feature maps, proposals to learn from, the RPN's losses. */
  protected async learnProposals(samples: readonly TrainingSample[], pass: TrainingPass): Promise<LearntProposals> {
    const { proposalGenerator } = this.options;
    const list = this.preprocess(samples, pass);
    const { features, rpn } = pass.record(() =>
      tf.tidy(() => {
        const maps = this.options.backbone.forward(tf.tensor4d(list.values, list.shape));
        return { features: maps, rpn: proposalGenerator.forward(maps) };
      }),
    );
    try {
      const boxes = samples.map(({ groundTruth }) => groundTruth.boxes);
      const anchors = proposalGenerator.anchorsOf(rpn);
      const labelled = proposalGenerator.label(anchors, boxes, list.imageSizes, pass.order);
      labelled.forEach(({ labels }, i) => pass.trace?.(`anchor_labels.${i}`, labels, [labels.length]));
      labelled.forEach(({ foreground, targets }, i) => {
        pass.trace?.(`anchor_fg_index.${i}`, foreground, [foreground.length]);
        pass.trace?.(`anchor_fg_gt_boxes.${i}`, targets, [foreground.length, 4]);
      });
      const proposals = await proposalGenerator.propose(rpn, list.imageSizes, proposalGenerator.options.training.selection);
      const losses = pass.record(() => proposalGenerator.computeLosses(rpn, anchors, labelled));
      const perImage = (count: (image: LabelledAnchors) => number): number =>
        labelled.reduce((sum, image) => sum + count(image), 0) / labelled.length;
      const metrics = {
        'rpn/num_pos_anchors': perImage(({ foreground }) => foreground.length),
        'rpn/num_neg_anchors': perImage(({ background }) => background.length),
      };
      return { features, paddedSize: [list.shape[1], list.shape[2]], proposals, losses, metrics };
    } catch (error) {
      tf.dispose(features);
      throw error;
    } finally {
      tf.dispose(rpn);
    }
  }

  /** The first half of every two-stage detector: pictures to feature maps and proposals. */
  protected async propose(images: readonly InputImage[], options: InferenceOptions): Promise<ProposedBatch> {
    const { trace, signal } = options;
    const start = performance.now();
    const list = this.preprocess(images, options);
    const prepared = performance.now();
    const { features, rpn } = tf.tidy(() => {
      const input = tf.tensor4d(list.values, list.shape);
      trace?.('images', input);
      const maps: FeatureMaps = this.options.backbone.forward(input, trace);
      return { features: maps, rpn: this.options.proposalGenerator.forward(maps) };
    });
    let proposals: ProposedBatch['proposals'] | undefined;
    try {
      if (trace) this.traceFirstStage(features, rpn, trace);
      const { proposalGenerator } = this.options;
      proposals =
        proposalGenerator.proposeOnDevice(rpn, list.imageSizes) ?? (await proposalGenerator.propose(rpn, list.imageSizes));
      if (trace) {
        const host = proposals instanceof tf.Tensor ? await readProposals(proposals, images.length) : proposals;
        host.forEach(({ boxes, objectnessLogits }, i) => {
          traceArray(trace, `proposals.${i}.boxes`, boxes, [boxes.length / 4, 4]);
          traceArray(trace, `proposals.${i}.objectness_logits`, objectnessLogits, [objectnessLogits.length]);
        });
      }
      signal?.throwIfAborted();
      const times = { preprocess: prepared - start, proposals: performance.now() - prepared };
      return { features, proposals, imageSizes: list.imageSizes, times };
    } catch (error) {
      tf.dispose(features);
      if (proposals instanceof tf.Tensor) proposals.dispose();
      throw error;
    } finally {
      tf.dispose(rpn);
    }
  }

  private traceFirstStage(features: FeatureMaps, { logits, deltas }: RpnOutputs, trace: Trace): void {
    for (const [name, map] of Object.entries(features)) trace(`features.${name}`, map);
    const generator = this.options.proposalGenerator.options.anchorGenerator.forMaps(
      logits.map(({ shape }) => ({ height: shape[1], width: shape[2] })),
    );
    logits.forEach((map, level) => {
      trace(`rpn.logits.${level}`, map);
      trace(`rpn.deltas.${level}`, deltas[level]);
      const [, height, width] = map.shape;
      const anchors = generator.level(level, height, width);
      traceArray(trace, `anchors.${level}`, anchors, [anchors.length / 4, 4]);
    });
  }
}

/** Proposals as values; a tensor is read and disposed of. */
async function hostProposals(proposals: ProposedBatch['proposals'], images: number): Promise<Proposals[]> {
  if (!(proposals instanceof tf.Tensor)) return proposals;
  return readProposals(proposals, images).finally(() => proposals.dispose());
}
