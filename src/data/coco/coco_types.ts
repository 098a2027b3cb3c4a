import type { CocoSegmentation } from '../rle/segmentation.js';

/** An image of a COCO file. */
export interface CocoImage {
  id: number;
  file_name: string;
  height: number;
  width: number;
  [extra: string]: unknown;
}

/** A category of a COCO file; ids are arbitrary integers. */
export interface CocoCategory {
  id: number;
  name: string;
  supercategory?: string;
  /** Keypoint names, in order. */
  keypoints?: string[];
  /** Pairs of keypoint numbers from 1. */
  skeleton?: [number, number][];
  [extra: string]: unknown;
}

/** An annotated object of a COCO file. */
export interface CocoAnnotation {
  id: number;
  image_id: number;
  category_id: number;
  /** x, y, width, height in pixels. */
  bbox?: number[];
  /** Pixels; of the mask, not of the box. */
  area?: number;
  iscrowd?: number;
  segmentation?: CocoSegmentation;
  /** x, y, visibility per keypoint; visibility 0: not labelled, 1: hidden, 2: visible. */
  keypoints?: number[];
  num_keypoints?: number;
  [extra: string]: unknown;
}

/** A COCO annotation file for detection, segmentation and keypoints. */
export interface CocoDataset {
  images: CocoImage[];
  annotations: CocoAnnotation[];
  categories: CocoCategory[];
  info?: unknown;
  licenses?: unknown;
}

/** One entry of a COCO results file. */
export interface CocoResult {
  image_id: number;
  category_id: number;
  score: number;
  /** x, y, width, height in pixels. */
  bbox?: number[];
  segmentation?: CocoSegmentation;
  keypoints?: number[];
  [extra: string]: unknown;
}
