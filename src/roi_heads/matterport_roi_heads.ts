import type { FeatureMaps, FeatureShapes } from '../backbone/backbone.js';
import type { Config } from '../config/index.js';
import type { Trace } from '../rpn/rpn.js';
import { toNormalised } from '../structures/normalised_boxes.js';
import { CropPooler } from './crop_pooler.js';
import type { Detections } from './fast_rcnn_inference.js';
import { matterportDetections } from './matterport_detections.js';
import type { ChooseDetections, RoiProposals } from './roi_heads.js';
import { StandardRoiHeads } from './standard_roi_heads.js';

/** Detectron2's heads on regions that are cut out, and detections that are chosen, as in Matterport's Mask R-CNN. All boxes are normalised. */
export class MatterportRoiHeads extends StandardRoiHeads {
  static override fromConfig(cfg: Config, features: FeatureShapes): MatterportRoiHeads {
    return new MatterportRoiHeads(StandardRoiHeads.optionsFromConfig(cfg, features, CropPooler));
  }

  /** @param imageSizes (height, width) of each picture, which is centred in the padded input */
  protected override inferBoxes(
    features: FeatureMaps,
    proposals: RoiProposals,
    imageSizes: readonly (readonly [number, number])[],
    trace?: Trace,
    mostProposals?: number,
    choose?: ChooseDetections,
  ): Promise<Detections[]> {
    const { inFeatures, scales } = this.options.boxPooler.options;
    const [, height, width] = features[inFeatures[0]].shape;
    const padded = [height / scales[0], width / scales[0]] as const;
    const rule: ChooseDetections = (boxes, scores, rows, size) => {
      const window = toNormalised(Float32Array.of(0, 0, size[1], size[0]), size, padded);
      return matterportDetections(boxes, scores, rows, window, this.selection);
    };
    return super.inferBoxes(features, proposals, imageSizes, trace, mostProposals, choose ?? rule);
  }
}
