export { proposalPercentages, proposalReport, proposalReportText } from './box_proposals.js';
export type { ProposalReport } from './box_proposals.js';
export { CocoEval } from './coco_eval.js';
export type { ImageEvaluation } from './coco_eval.js';
export { CocoEvaluator, taskResults } from './coco_evaluator.js';
export type { CocoEvaluation, TaskResults } from './coco_evaluator.js';
export { DETECTION_STATS, KEYPOINT_STATS, meanPrecision, meanRecall, summarize } from './coco_summary.js';
export type { CocoSummary, Selection } from './coco_summary.js';
export { confusionMatrix } from './confusion_matrix.js';
export type { ConfusionMatrix } from './confusion_matrix.js';
export { COCO_PERSON_SIGMAS, evaluationParameters } from './evaluation_parameters.js';
export type { EvaluationOptions, EvaluationParameters, IouType } from './evaluation_parameters.js';
export { evaluationPage } from './evaluation_page.js';
export type { EvaluationPageParts } from './evaluation_page.js';
export { evaluateFiles, evaluationReport, reportText } from './evaluation_report.js';
export type { ClassReport, EvaluationReport, Point, ReportOptions, TaskReport } from './evaluation_report.js';
export { keypointSimilarity } from './keypoint_similarity.js';
export type { KeypointTruth } from './keypoint_similarity.js';
export { operatingPoints } from './operating_points.js';
export type { ClassOperatingPoints, OperatingPoint } from './operating_points.js';
export { panopticIds, panopticPixels } from '../data/coco/panoptic_png.js';
export { evaluatePanopticFiles } from './panoptic_files.js';
export type { PanopticFiles } from './panoptic_files.js';
export type { PixelEvaluation, PixelTruth } from './pixel_evaluator.js';
export { PanopticQuality } from './panoptic_quality.js';
export type {
  ClassQuality,
  PanopticCategory,
  PanopticImage,
  PanopticResult,
  PanopticSegment,
  QualityMean,
} from './panoptic_quality.js';
export type { CategoryOutcomes, EvaluationArrays } from './precision_recall.js';
export { precisionRecallCurves } from './precision_recall_curves.js';
export type { PrecisionRecallCurves } from './precision_recall_curves.js';
export { PROPOSAL_AREAS, proposalRecall } from './proposal_recall.js';
export type { ImageProposals, ProposalRecall } from './proposal_recall.js';
export { SemanticSegmentationEvaluator } from './semantic_segmentation.js';
export type { SemanticSegmentationOptions } from './semantic_segmentation.js';
export { worstImages } from './worst_images.js';
export type { ImageErrors } from './worst_images.js';
