/**
 * Parts of your own by name, and what they are made from: `docs/your_own_parts.md`.
 *
 * @packageDocumentation
 */
export { Registry } from './registry.js';
export {
  augmentations,
  backbones,
  boxHeads,
  boxLosses,
  datasetFormats,
  keypointHeads,
  maskHeads,
  metaArchitectures,
  roiHeads,
  rpnHeads,
  semanticHeads,
} from './registries.js';
export { Module, type ModelParameter, type WeightLayout } from '../layers/module.js';
export { ModuleList } from '../layers/module_list.js';
export { Conv2d, type Conv2dOptions, type EffectiveWeights } from '../layers/conv2d.js';
export { ConvTranspose2x2 } from '../layers/conv_transpose2d.js';
export { ConvTranspose4x4 } from '../layers/conv_transpose4x4.js';
export { Linear, type LinearOptions } from '../layers/linear.js';
export { scaleGradient } from '../layers/scale_gradient.js';
export { upsampleBilinear } from '../layers/upsample_bilinear.js';
export type { WeightInit } from '../layers/weight_init.js';
export { gatherRows } from '../losses/gather_rows.js';
export { boxLossFromConfig, type BoxRegressionLoss, decodeDeltas } from '../losses/box_regression.js';
export { readBack, type PendingRead } from '../ops/read_back.js';
export { Backbone, type FeatureMaps, type FeatureShapes } from '../backbone/backbone.js';
export { ResNet, type ResNetOptions } from '../backbone/resnet.js';
export { Fpn, type FpnOptions } from '../fpn/fpn.js';
export { type AnchorHead, RpnHead, type RpnHeadOptions } from '../rpn/rpn_head.js';
export { Rpn, type Trace, type RpnOptions, type RpnOutputs, type RpnTrainingOptions } from '../rpn/rpn.js';
export { Box2BoxTransform } from '../rpn/box_transform.js';
export { Matcher, type Matches, type MatcherOptions } from '../rpn/matcher.js';
export type { Proposals, ProposalSelection } from '../rpn/find_top_proposals.js';
export { orderOfImage, type Permutations } from '../rpn/subsample_labels.js';
export { BoxHead, type RegionHead, type BoxHeadOptions } from '../roi_heads/box_head.js';
export { BoxPredictor, type BoxPredictorOptions } from '../roi_heads/box_predictor.js';
export { MaskHead, type RegionMaskHead, type MaskHeadOptions } from '../roi_heads/mask_head.js';
export { KeypointHead, type RegionKeypointHead, type KeypointHeadOptions } from '../roi_heads/keypoint_head.js';
export { RoiPooler, type RoiPoolerOptions } from '../roi_heads/roi_pooler.js';
export { type ProposalSampling, type SampledProposals, sampleProposals } from '../roi_heads/sample_proposals.js';
export {
  allClasses,
  boxLosses as boxHeadLosses,
  type BoxLossOptions,
  classificationMetrics,
  type LabelledRegions,
} from '../roi_heads/box_losses.js';
export { type MaskBatch, maskBatch, maskLoss, maskMetrics } from '../roi_heads/mask_loss.js';
export { type Detections, type DetectionSelection, fastRcnnInference } from '../roi_heads/fast_rcnn_inference.js';
export { softNmsFromConfig } from '../roi_heads/suppress_detections.js';
export {
  type BoxPredictions,
  type ChooseDetections,
  type GivenDetections,
  type RawInstances,
  RoiHeads,
  type RoiLosses,
  type RoiProposals,
} from '../roi_heads/roi_heads.js';
export {
  type LearntStage,
  MultiStageRoiHeads,
  type MultiStageTraining,
  type RegionOrigin,
  type StageRegions,
} from '../roi_heads/multi_stage_roi_heads.js';
export { StandardRoiHeads, type StandardRoiHeadsOptions, type RoiTrainingOptions } from '../roi_heads/standard_roi_heads.js';
export { SemanticHead, type SemanticHeadOptions } from '../semantic/semantic_head.js';
export {
  type Inference,
  type InferenceOptions,
  MetaArchitecture,
  type MetaArchitectureOptions,
  type StageTimes,
} from '../meta_arch/meta_architecture.js';
export { GeneralizedRcnn, type GeneralizedRcnnOptions } from '../meta_arch/generalized_rcnn.js';
export {
  ProposalNetwork,
  type ProposalNetworkOptions,
  type LearntProposals,
  type ProposedBatch,
} from '../meta_arch/proposal_network.js';
export { buildBackbone } from '../meta_arch/build_backbone.js';
export type { BatchLosses, HostTrace, TrainingPass, WholeBatch, TrainableModel } from '../meta_arch/training_pass.js';
export type { InputImage, ImageList } from '../structures/image_list.js';
export type { GroundTruth, TrainingSample } from '../structures/training_sample.js';
export type { Augmentation, AugmentationInput, RandomNumbers } from '../data/transforms/augmentation.js';
export { DatasetBuilder, type ImportedDataset } from '../data/dataset/formats/dataset_builder.js';
export type { KeypointBranch } from '../roi_heads/keypoint_branch.js';
export type { MaskBranch } from '../roi_heads/mask_branch.js';
export type { SoftNmsDecay } from '../ops/nms/soft_nms.js';
export type { Res5BoxHead } from '../roi_heads/res5_box_head.js';
export type { LabelledAnchors, AnchorSampling } from '../rpn/label_anchors.js';
export type { Transform, Picture, Raster, Samples } from '../data/transforms/transform.js';
export type { KeypointLossOptions } from '../roi_heads/keypoint_loss.js';
export type { Stage } from '../backbone/stage.js';
export type { AnchorGenerator, MapSize } from '../rpn/anchor_generator.js';
export type { LabelArray } from '../data/resize/resize.js';
export type { RpnLossOptions } from '../rpn/rpn_losses.js';
