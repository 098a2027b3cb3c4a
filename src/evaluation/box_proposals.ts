import type { CocoDataset, CocoResult } from '../data/coco/coco_types.js';
import { type ImageProposals, proposalRecall } from './proposal_recall.js';

/** Detectron2's numbers of proposals and suffixes of area ranges. */
const LIMITS = [100, 1000];
const AREAS = { all: '', small: 's', medium: 'm', large: 'l' } as const;
const RECALLS = LIMITS.flatMap((limit) =>
  (['all', 'small', 'medium', 'large'] as const).map((area) => ({ name: `AR${AREAS[area]}@${limit}`, area, limit })),
);

/** What `maskrcnn evaluate` says of region proposals; percentages, null is absent. */
export interface ProposalReport {
  images: number;
  objects: number;
  proposals: number;
  box_proposals: Record<string, number | null>;
}

/**
 * Average recall of region proposals as Detectron2's `COCOEvaluator` names it: `AR@100`, `ARs@100`, `ARm@100`, `ARl@100`, and the same of 1000
 * proposals. Percent; NaN where the data set has no such objects.
 * @param results boxes with the objectness as score; their categories do not count
 */
export function proposalPercentages(dataset: CocoDataset, results: readonly CocoResult[]): Record<string, number> {
  const proposals = byImage(results);
  return Object.fromEntries(
    RECALLS.map(({ name, area, limit }) => [name, 100 * proposalRecall(dataset, proposals, area, limit).averageRecall]),
  );
}

/** The names of {@link proposalPercentages}, in their order. */
export function proposalMetricNames(): string[] {
  return RECALLS.map(({ name }) => name);
}

/** {@link proposalPercentages} as JSON has them, with what was counted. */
export function proposalReport(dataset: CocoDataset, results: readonly CocoResult[]): ProposalReport {
  const percentages = Object.entries(proposalPercentages(dataset, results));
  return {
    images: dataset.images.length,
    objects: dataset.annotations.filter(({ iscrowd }) => !iscrowd).length,
    proposals: results.length,
    box_proposals: Object.fromEntries(percentages.map(([name, value]) => [name, Number.isFinite(value) ? value : null])),
  };
}

/** The report as text. */
export function proposalReportText(
  { images, objects, proposals, box_proposals: recalls }: ProposalReport,
  table: (rows: readonly (readonly string[])[]) => string,
): string {
  const names = Object.keys(recalls);
  const percent = (value: number | null) => value?.toFixed(2) ?? '-';
  return [
    `${images} images, ${objects} objects, ${proposals} proposals`,
    '',
    'Proposals: average recall at IoU 0.50:0.95 of the best 100 and 1000 of a picture, percent',
    table([names, names.map((name) => percent(recalls[name]!))]),
    '',
  ].join('\n');
}

function byImage(results: readonly CocoResult[]): ImageProposals[] {
  const rows = new Map<number, CocoResult[]>();
  for (const row of results) {
    if (!row.bbox) continue;
    const list = rows.get(row.image_id);
    if (list) list.push(row);
    else rows.set(row.image_id, [row]);
  }
  return Array.from(rows, ([imageId, list]) => ({
    imageId,
    boxes: Float32Array.from(list.flatMap(({ bbox }) => [bbox![0]!, bbox![1]!, bbox![0]! + bbox![2]!, bbox![1]! + bbox![3]!])),
    objectness: Float32Array.from(list, ({ score }) => score),
  }));
}
