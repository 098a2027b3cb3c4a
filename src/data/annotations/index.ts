export { BoxMode, convertBox, type BoxModeNumber } from './box_mode.js';
export {
  annotationsToGroundTruth,
  isMaskEmpty,
  maskArea,
  maskBox,
  selectObjects,
  withMaskBoxes,
  withoutEmpty,
  type GroundTruthOptions,
  type MaskFormat,
  type WithoutEmptyOptions,
} from './instances.js';
export { keypointFlipIndices } from './keypoint_flip.js';
export {
  transformAnnotation,
  type SourceAnnotation,
  type TransformAnnotationOptions,
  type TransformedAnnotation,
} from './transform_annotations.js';
export { IGNORED_LABEL, panopticToSemantic, semanticClassNames, semanticMapPath, type SemanticLabels } from './semantic_map.js';
export { keypointTargets, type KeypointTargets } from './keypoint_targets.js';
