import type { MetricsRow } from './json_lines_writer.js';
import type { ReportPicture } from './report_writer.js';

/** Whether the run goes on, when the page reloads itself; or what ended it, where that was an error. */
export type ReportState = 'running' | 'ended' | { readonly error: string };

/** What a page shows. */
export interface ReportContent {
  readonly title: string;
  readonly rows: readonly MetricsRow[];
  readonly pictures: readonly ReportPicture[];
  readonly state: ReportState;
  /** uPlot. */
  readonly script: string;
  readonly style: string;
}

/** Points of a curve beyond which every n-th row is drawn. */
const MOST_POINTS = 2000;

interface Chart {
  readonly title: string;
  readonly names: readonly string[];
  /** One row of x, then one a name; null where there is no value. */
  readonly data: readonly (readonly (number | null)[])[];
}

/** A self-contained HTML page of curves and pictures. */
export function reportPage({ title, rows, pictures, state, script, style }: ReportContent): string {
  const last = rows.at(-1);
  const running = state === 'running';
  const reached = last
    ? `iteration ${last.iteration}${running && last.eta_seconds !== undefined ? `, about ${Math.ceil(last.eta_seconds / 60)} minutes left` : ''}`
    : 'no iteration yet';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title>
${running ? '<meta http-equiv="refresh" content="30">' : ''}
<style>${style}
body { font: 14px system-ui, sans-serif; margin: 2em auto; max-width: 1100px; padding: 0 1em; }
pre { white-space: pre-wrap; color: #b00; } .charts { display: flex; flex-wrap: wrap; gap: 1em; } figure { display: inline-block; margin: 0 1em 1em 0; } figure img { max-width: 500px; }
</style></head><body>
<h1>${escape(title)}</h1>
<p>${running ? 'Running' : state === 'ended' ? 'Ended' : 'Ended by an error'}: ${escape(reached)}.</p>${typeof state === 'object' ? `\n<pre>${escape(state.error)}</pre>` : ''}
<div class="charts" id="charts"></div>
${pictures.map(figure).join('\n')}
<script>${closed(script)}</script>
<script>
const charts = ${closed(JSON.stringify(chartsOf(rows)))};
const colors = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd', '#ff7f0e', '#17becf', '#8c564b', '#e377c2'];
for (const { title, names, data } of charts) {
  const series = [{ label: 'iteration' }, ...names.map((label, i) => ({ label, stroke: colors[i % colors.length], spanGaps: true, points: { show: data[0].length < 60 } }))];
  new uPlot({ title, width: 520, height: 300, series, scales: { x: { time: false } } }, data, document.getElementById('charts'));
}
</script></body></html>
`;
}

function chartsOf(rows: readonly MetricsRow[]): Chart[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const pick = (test: (name: string) => boolean) => names.filter(test).sort();
  const groups: [string, string[]][] = [
    ['Losses', pick((name) => name === 'total_loss' || name.startsWith('loss_'))],
    ['Average precision, percent', pick((name) => /^(bbox|segm|keypoints)\/AP(50|75)?$/.test(name))],
    ['Panoptic quality and IoU of the pixels, percent', pick((name) => /^(panoptic_seg\/PQ|sem_seg\/mIoU)$/.test(name))],
    ['Validation losses', pick((name) => name.startsWith('validation/'))],
    ['Learning rate', pick((name) => name === 'lr')],
    ['Seconds a step', pick((name) => name === 'time' || name === 'data_time')],
    ['Share of regions classified right', pick((name) => name.startsWith('fast_rcnn/'))],
    ['Mask head: accuracy', pick((name) => name.startsWith('mask_rcnn/'))],
    ['Regions sampled', pick((name) => /^(rpn|roi_head)\//.test(name))],
    ['Average precision by class, percent', pick((name) => /^segm\/AP-/.test(name))],
    ['Memory, MB', pick((name) => name === 'memory_mb')],
  ];
  return groups
    .filter(([, group]) => group.length > 0)
    .map(([title, group]) => ({ title, names: group, data: columns(rows, group) }));
}

function columns(rows: readonly MetricsRow[], names: readonly string[]): (number | null)[][] {
  const present = rows.filter((row) => names.some((name) => row[name] !== undefined));
  const every = Math.ceil(present.length / MOST_POINTS);
  const drawn = present.filter((_, i) => i % every === 0 || i === present.length - 1);
  const value = (row: MetricsRow, name: string) => (Number.isFinite(row[name]) ? row[name] : null);
  return [drawn.map((row) => row.iteration), ...names.map((name) => drawn.map((row) => value(row, name)))];
}

function figure({ caption, png }: ReportPicture): string {
  const data = Buffer.from(png).toString('base64');
  return `<figure><img src="data:image/png;base64,${data}" alt=""><figcaption>${escape(caption)}</figcaption></figure>`;
}

/** Text that cannot end the script element it stands in. */
const closed = (text: string): string => text.replaceAll('</', '<\\/');

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
