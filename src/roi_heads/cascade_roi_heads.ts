import * as tf from '@tensorflow/tfjs-core';
import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { ModuleList } from '../layers/module_list.js';
import { Box2BoxTransform } from '../rpn/box_transform.js';
import { refineRegions } from '../rpn/decode_on_device.js';
import type { Proposals } from '../rpn/find_top_proposals.js';
import { PROPOSAL_COLUMNS } from '../rpn/proposal_kernel.js';
import type { Trace } from '../rpn/rpn.js';
import { BoxHead } from './box_head.js';
import { BoxPredictor } from './box_predictor.js';
import type { Detections, DetectionSelection } from './fast_rcnn_inference.js';
import { MaskBranch } from './mask_branch.js';
import { MaskHead } from './mask_head.js';
import { RoiHeads, type RoiLosses, type RoiProposals } from './roi_heads.js';
import { RoiPooler } from './roi_pooler.js';
import type { SampledProposals } from './sample_proposals.js';

/** One stage of a cascade. */
export interface CascadeStage {
  readonly head: BoxHead;
  readonly predictor: BoxPredictor;
}

export interface CascadeRoiHeadsOptions {
  readonly boxPooler: RoiPooler;
  readonly stages: readonly CascadeStage[];
  readonly mask: MaskBranch | undefined;
  readonly selection: DetectionSelection;
}

/**
 * Box heads one after another, each on the boxes that the one before has moved (Cai and Vasconcelos 2018; Detectron2's `CascadeROIHeads`): the boxes are
 * the last one's, the scores the mean of all. For inference.
 */
export class CascadeRoiHeads extends RoiHeads {
  constructor(readonly options: CascadeRoiHeadsOptions) {
    super();
    this.child('box_head', new ModuleList(options.stages.map(({ head }) => head)));
    this.child('box_predictor', new ModuleList(options.stages.map(({ predictor }) => predictor)));
    if (options.mask) this.child('mask_head', options.mask.head);
  }

  static fromConfig(cfg: Config, features: FeatureShapes): CascadeRoiHeads {
    const { ROI_HEADS: heads, ROI_BOX_HEAD: box, ROI_MASK_HEAD: mask, ROI_BOX_CASCADE_HEAD: cascade } = cfg.MODEL;
    if (!box.CLS_AGNOSTIC_BBOX_REG)
      throw new ConfigError('MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG is false; a cascade needs true.');
    const channels = features[heads.IN_FEATURES[0]].channels;
    return new CascadeRoiHeads({
      boxPooler: RoiPooler.fromConfig(box, heads.IN_FEATURES, features),
      stages: cascade.BBOX_REG_WEIGHTS.map((weights) => {
        const head = BoxHead.fromConfig(cfg, channels);
        const options = { inFeatures: head.outputSize, numClasses: heads.NUM_CLASSES, classAgnostic: true };
        return { head, predictor: new BoxPredictor({ ...options, transform: new Box2BoxTransform(weights) }) };
      }),
      mask: cfg.MODEL.MASK_ON
        ? new MaskBranch({
            pooler: RoiPooler.fromConfig(mask, heads.IN_FEATURES, features),
            head: MaskHead.fromConfig(cfg, channels),
          })
        : undefined,
      selection: {
        scoreThreshold: heads.SCORE_THRESH_TEST,
        nmsThreshold: heads.NMS_THRESH_TEST,
        topK: cfg.TEST.DETECTIONS_PER_IMAGE,
      },
    });
  }

  protected override get selection(): DetectionSelection {
    return this.options.selection;
  }

  protected override get mask(): MaskBranch | undefined {
    return this.options.mask;
  }

  override sample(): SampledProposals[] {
    throw untrainable();
  }

  override computeLosses(): RoiLosses {
    throw untrainable();
  }

  protected override inferBoxes(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
  ): Promise<Detections[]> {
    const { boxPooler, stages } = this.options;
    return this.detect(proposals, imageSizes, stages[stages.length - 1].predictor.transform, () => {
      let regions = proposals instanceof tf.Tensor ? proposals : regionRows(proposals);
      let deltas: tf.Tensor2D | undefined;
      const scores = stages.map(({ head, predictor }, stage) => {
        if (deltas) regions = refineRegions(deltas, regions, stages[stage - 1].predictor.transform, imageSizes);
        const pooled = boxPooler.forward(features, regions);
        trace?.(stage === 0 ? 'box_pooled' : `box_pooled#${stage + 1}`, pooled);
        const hidden = head.forward(pooled);
        trace?.(`box_head.${stage}`, hidden);
        const predicted = predictor.forward(hidden);
        trace?.(`cls_logits.${stage}`, predicted.logits);
        trace?.(`box_deltas.${stage}`, predicted.deltas);
        deltas = predicted.deltas;
        return tf.softmax(predicted.logits);
      });
      const mean = tf.div<tf.Tensor2D>(tf.addN(scores), stages.length);
      return { scores: mean, deltas: deltas as tf.Tensor2D, regions };
    });
  }
}

/** Proposals of all images as rows (image, x0, y0, x1, y1, logit). */
function regionRows(proposals: readonly Proposals[]): tf.Tensor2D {
  const rows = proposals.flatMap(({ boxes, objectnessLogits }, image) =>
    Array.from(objectnessLogits, (logit, i) => [image, ...boxes.subarray(i * 4, i * 4 + 4), logit]),
  );
  return tf.tensor2d(rows, [rows.length, PROPOSAL_COLUMNS], 'float32');
}

function untrainable(): ConfigError {
  return new ConfigError(
    'MODEL.ROI_HEADS.NAME is CascadeROIHeads, which predicts here but does not train; StandardROIHeads trains.',
  );
}
