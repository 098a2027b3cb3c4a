export type { CocoAnnotation, CocoCategory, CocoDataset, CocoImage, CocoResult } from './coco_types.js';
export { classHistogram, datasetRecords, loadCocoJson, withKeypoints, withoutCrowdOnly, XYWH_ABS } from './dataset_records.js';
export type { CocoRecords, DatasetRecord, LoadCocoOptions, RecordAnnotation } from './dataset_records.js';
export { readCocoDataset, readCocoResults } from './read_coco.js';
export type { JsonSource, ReadCocoOptions } from './read_coco.js';
export { streamJson } from './stream_json.js';
export type { JsonPiece } from './stream_json.js';
export { polygonArea, recordsToCoco, writeCocoDataset, writeCocoResults } from './write_coco.js';
