export { mergeRles } from './merge_rle.js';
export { boxToRle, polygonsToRle, polygonToRle } from './polygon_to_rle.js';
export { checkRle, decodeRle, encodeRle, rleArea, rleFromString, rleToBox, rleToString } from './rle.js';
export type { Rle } from './rle.js';
export { boxIou, prepareMask, preparedIou, rleIou } from './rle_iou.js';
export type { PreparedMask } from './rle_iou.js';
export { rleToCoco, segmentationToRle } from './segmentation.js';
export type { CocoRle, CocoSegmentation } from './segmentation.js';
