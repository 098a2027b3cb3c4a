import type { PanopticDataset } from '../data/coco/read_panoptic.js';
import type { PixelEvaluation } from './pixel_evaluator.js';

/** Panoptic and semantic quality as `maskrcnn evaluate` prints them; percentages, null is absent. */
export interface PixelReport {
  panoptic?: { summary: Record<string, number | null>; classes: PanopticClassReport[] };
  semantic?: { summary: Record<string, number | null>; classes: { name: string; iou: number | null; accuracy: number | null }[] };
}

/** One category. */
export interface PanopticClassReport {
  categoryId: number;
  name: string;
  isThing: boolean;
  pq: number | null;
  sq: number | null;
  rq: number | null;
  tp: number;
  fp: number;
  fn: number;
}

const present = (value: number | undefined): number | null => (value !== undefined && Number.isFinite(value) ? value : null);

/** What there is to say about pixels, as JSON. @param categories of the panoptic file */
export function pixelReport(
  { panoptic, semantic }: PixelEvaluation,
  categories: PanopticDataset['categories'],
  semanticClassNames: readonly string[],
): PixelReport {
  const report: PixelReport = {};
  if (panoptic)
    report.panoptic = {
      summary: Object.fromEntries(Object.entries(panoptic.percentages).map(([name, value]) => [name, present(value)])),
      classes: categories.map(({ id, name, isthing }) => {
        const { pq, sq, rq, tp, fp, fn } = panoptic.perClass.get(id)!;
        const seen = tp + fp + fn > 0;
        const of = (value: number) => (seen ? 100 * value : null);
        return { categoryId: id, name, isThing: isthing === 1, pq: of(pq), sq: of(sq), rq: of(rq), tp, fp, fn };
      }),
    };
  if (semantic)
    report.semantic = {
      summary: Object.fromEntries(['mIoU', 'fwIoU', 'mACC', 'pACC'].map((name) => [name, present(semantic[name])])),
      classes: semanticClassNames.map((name) => ({
        name,
        iou: present(semantic[`IoU-${name}`]),
        accuracy: present(semantic[`ACC-${name}`]),
      })),
    };
  return report;
}

/** The report as text tables. */
export function pixelReportText(
  { panoptic, semantic }: PixelReport,
  table: (rows: readonly (readonly string[])[]) => string,
): string {
  const percent = (value: number | null | undefined): string => (value === null || value === undefined ? '-' : value.toFixed(2));
  const out: string[] = [];
  if (panoptic) {
    const row = (title: string, suffix: string): string[] => [
      title,
      ...['PQ', 'SQ', 'RQ'].map((name) => percent(panoptic.summary[name + suffix])),
    ];
    out.push('', 'Panoptic quality, percent');
    out.push(table([['', 'PQ', 'SQ', 'RQ'], row('all', ''), row('things', '_th'), row('stuff', '_st')]));
    out.push('', 'Panoptic quality: by class, percent');
    const rows = panoptic.classes.map((c) => [
      c.name,
      percent(c.pq),
      percent(c.sq),
      percent(c.rq),
      ...[c.tp, c.fp, c.fn].map(String),
    ]);
    out.push(table([['class', 'PQ', 'SQ', 'RQ', 'right', 'wrong', 'missed'], ...rows]));
  }
  if (semantic) {
    const names = Object.keys(semantic.summary);
    out.push('', 'Classes of pixels, percent', table([names, names.map((name) => percent(semantic.summary[name]))]));
    const rows = semantic.classes.map((c) => [c.name, percent(c.iou), percent(c.accuracy)]);
    out.push('', 'Classes of pixels: by class, percent', table([['class', 'IoU', 'accuracy'], ...rows]));
  }
  return out.length === 0 ? '' : `${out.slice(1).join('\n')}\n`;
}
