import type { PanopticFiles } from '../evaluation/panoptic_files.js';

/** A panoptic JSON file and the folder of its PNGs: the file's name without `.json`, as COCO has it, unless it is named. */
export function panopticFiles(json: string | undefined, folder: string | undefined): PanopticFiles | undefined {
  return json === undefined ? undefined : { json, folder: folder ?? json.replace(/\.json$/i, '') };
}
