import { DatasetError } from '../../errors.js';
import type { PanopticMap } from '../coco/panoptic_png.js';
import type { PanopticDataset, PanopticSegmentInfo } from '../coco/read_panoptic.js';

/** A class for every pixel. */
export interface SemanticLabels {
  /** [H, W], row-major; {@link IGNORED_LABEL} is no class. */
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** The label of pixels that are not judged: Detectron2's `IGNORE_VALUE`. */
export const IGNORED_LABEL = 255;

/** Where the semantic map of a picture lies: `FOLDER/NAME.png` for `NAME.jpg`. */
export function semanticMapPath(folder: string, fileName: string): string {
  return `${folder.replace(/[/\\]$/, '')}/${fileName.replace(/\.[^./\\]*$/, '')}.png`;
}

/**
 * The stuff of a panoptic annotation as Detectron2's Panoptic FPN is trained on it (`prepare_panoptic_fpn.py`): 0 for all things, then the stuff
 * categories by their order in the file, from 1; pixels of no segment are ignored.
 *
 * @throws DatasetError for a segment of an unknown category, or more than 254 stuff categories
 */
export function panopticToSemantic(
  { ids, height, width }: PanopticMap,
  segments: readonly PanopticSegmentInfo[],
  categories: PanopticDataset['categories'],
): SemanticLabels {
  const stuff = categories.filter(({ isthing }) => isthing === 0);
  if (stuff.length > IGNORED_LABEL - 1)
    throw new DatasetError(`There are ${stuff.length} stuff categories; a map of bytes holds at most ${IGNORED_LABEL - 1}.`);
  const labelOf = new Map(categories.map(({ id }) => [id, 0]));
  stuff.forEach(({ id }, i) => labelOf.set(id, i + 1));
  const labels = new Map<number, number>();
  for (const { id, category_id } of segments) {
    const label = labelOf.get(category_id);
    if (label === undefined)
      throw new DatasetError(`Segment ${id} has the category ${category_id}, which is not among the categories of the file.`);
    labels.set(id, label);
  }
  return { data: Uint8Array.from(ids, (id) => labels.get(id) ?? IGNORED_LABEL), height, width };
}

/** The classes of {@link panopticToSemantic}: `things`, then the stuff categories. */
export function semanticClassNames(categories: PanopticDataset['categories']): string[] {
  return ['things', ...categories.filter(({ isthing }) => isthing === 0).map(({ name }) => name)];
}
