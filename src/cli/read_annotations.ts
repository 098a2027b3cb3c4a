import { basename } from 'node:path';
import { type ReadCocoOptions, readCocoDataset, readCocoResults } from '../data/coco/read_coco.js';
import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { withProgress } from './progress_bar.js';

/** Reads an annotation file; where that takes long it says how far it is. */
export function readAnnotations(file: string, options: ReadCocoOptions = {}): Promise<CocoDataset> {
  return withProgress(`reading ${basename(file)}`, 'records', undefined, (onProgress) =>
    readCocoDataset(file, { ...options, onProgress }),
  );
}

/** Reads a file of results, as {@link readAnnotations} does. */
export function readResults(file: string): Promise<CocoResult[]> {
  return withProgress(`reading ${basename(file)}`, 'records', undefined, (onProgress) => readCocoResults(file, { onProgress }));
}
