import type { CocoDataset } from '../data/coco/coco_types.js';
import { maskPath } from '../data/dataset/browse_page.js';
import { escapeHtml, htmlPage, scriptJson } from '../data/dataset/html_page.js';
import { rleToBox } from '../data/rle/rle.js';
import { segmentationToRle } from '../data/rle/segmentation.js';
import type { EvaluationReport, TaskReport } from './evaluation_report.js';
import type { IouType } from './evaluation_parameters.js';
import type { ImageErrors } from './worst_images.js';

/** What goes into {@link evaluationPage} besides the report. */
export interface EvaluationPageParts {
  title: string;
  dataset: Pick<CocoDataset, 'images' | 'categories'>;
  worst: readonly ImageErrors[];
  /** `data:` addresses by image id; images without one are drawn on an empty ground. */
  pictures: ReadonlyMap<number, string>;
  /** uPlot's own script (the one that defines `uPlot`) and style. */
  charts: { script: string; style: string };
}

const TITLES: Record<IouType, string> = { bbox: 'Boxes', segm: 'Masks', keypoints: 'Keypoints' };

/** A report that needs nothing but itself: COCO's numbers, curves, classes, confusion, and the worst images with what went wrong in them. */
export function evaluationPage(report: EvaluationReport, parts: EvaluationPageParts): string {
  const tasks = Object.entries(report.tasks) as [IouType, TaskReport][];
  const body = [
    `<p class="soft">${report.images} images, ${report.objects} objects, ${report.detections} detections. Precision, recall, F1 and confusion count detections from score ${report.scoreThreshold} at IoU ${report.iouThreshold}.</p>`,
    tasks.length === 0 ? '<p>There are no detections to judge.</p>' : '',
    ...tasks.map(([task, t]) => taskSection(task, t)),
    gallery(parts),
  ].join('\n');
  const curves = Object.fromEntries(tasks.map(([task, t]) => [task, { ...t.curves, names: t.classes.map((c) => c.name) }]));
  return htmlPage(parts.title, body, {
    style: parts.charts.style + PAGE_STYLE,
    // A script element ends at the first of its end tags, wherever that stands.
    script: `${parts.charts.script.replace(/<\/script/gi, '<\\/script')}\nconst CURVES=${scriptJson(curves)};${PAGE_SCRIPT}`,
  });
}

function taskSection(task: IouType, t: TaskReport): string {
  const cards = Object.entries(t.summary)
    .map(([name, value]) => `<div class="card"><b>${percent(value)}</b><span>${escapeHtml(name)}</span></div>`)
    .join('');
  const rows = [...t.classes]
    .sort((a, b) => (b.ap ?? -1) - (a.ap ?? -1))
    .map(
      (c) =>
        `<tr><td>${escapeHtml(c.name)}</td><td>${c.objects}</td>${[c.ap, c.ap50, c.at.precision, c.at.recall, c.at.f1, c.best?.f1 ?? null].map((v) => `<td>${percent(v)}</td>`).join('')}<td>${c.best?.threshold?.toFixed(3) ?? '-'}</td></tr>`,
    )
    .join('');
  const options = t.classes.map((c, i) => `<option value="${i}">${escapeHtml(c.name)}</option>`).join('');
  return `<section><h2>${TITLES[task]}</h2><div class="cards">${cards}</div>
<h3>Precision by recall</h3><label>Also show <select data-curve="${task}"><option value="">no class</option>${options}</select></label><div class="chart" id="chart-${task}"></div>
<h3>Classes, percent</h3><div class="scroll"><table><thead><tr><th>class</th><th>objects</th><th>AP</th><th>AP50</th><th>precision</th><th>recall</th><th>F1</th><th>best F1</th><th>from score</th></tr></thead><tbody>${rows}</tbody></table></div>
${t.confusion ? confusionTable(t.confusion) : ''}</section>`;
}

function confusionTable({ labels, counts }: NonNullable<TaskReport['confusion']>): string {
  const background = labels.length - 1;
  const cell = (value: number, row: number, column: number, sum: number): string => {
    if (row === background && column === background) return '<td></td>';
    const share = sum === 0 ? 0 : value / sum;
    const hue = row === column ? 'var(--good)' : 'var(--bad)';
    const title = `${labels[row]} found as ${labels[column]}: ${value} of ${sum}`;
    return `<td title="${escapeHtml(title)}" style="background:color-mix(in srgb,${hue} ${Math.round(share * 85)}%,transparent)">${value || ''}</td>`;
  };
  const head = labels.map((l) => `<th><span>${escapeHtml(l)}</span></th>`).join('');
  const rows = counts
    .map((row, i) => {
      const sum = row.reduce((a, b) => a + b, 0);
      return `<tr><th>${escapeHtml(labels[i]!)}</th>${row.map((v, j) => cell(v, i, j, sum)).join('')}</tr>`;
    })
    .join('');
  return `<h3>Confusion: row = true class, column = detected class</h3><p class="soft">The row “background” holds false alarms, its column missed objects. Colours are shares of a row.</p><div class="scroll"><table class="confusion"><thead><tr><th></th>${head}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function gallery({ dataset, worst, pictures }: EvaluationPageParts): string {
  if (worst.length === 0) return '';
  const images = new Map(dataset.images.map((i) => [i.id, i]));
  const names = new Map(dataset.categories.map((c) => [c.id, c.name]));
  const figures = worst.map((w) => {
    const image = images.get(w.imageId)!;
    const unit = image.width / 420;
    const shape = (
      o: { segmentation?: ImageErrors['objects'][number]['segmentation']; bbox?: number[] },
      kind: string,
      label: string,
    ): string => {
      const path = maskPath(o, image.height, image.width);
      const box = o.bbox ?? (o.segmentation ? rleToBox(segmentationToRle(o.segmentation, image.height, image.width)) : undefined);
      if (!box || box.length !== 4) return '';
      const [x, y, width, height] = box.map((v) => Math.round(v * 10) / 10) as [number, number, number, number];
      const text = `<text x="${x + 2 * unit}" y="${y + 12 * unit}" style="font-size:${12 * unit}px">${escapeHtml(label)}</text>`;
      return `<g class="${kind}"><rect x="${x}" y="${y}" width="${width}" height="${height}" stroke-width="${1.6 * unit}"/>${path ? `<path d="${path}"/>` : ''}${text}</g>`;
    };
    const name = (id: number): string => names.get(id) ?? `category ${id}`;
    const objects = w.objects
      .filter((o) => o.outcome !== 'found')
      .map((o) =>
        shape(o, o.outcome, o.outcome === 'crowd' ? `${name(o.category_id)} (crowd)` : `${o.outcome} ${name(o.category_id)}`),
      );
    const detections = w.detections
      .filter((d) => d.outcome !== 'ignored')
      .map((d) => shape(d, d.outcome === 'confused' ? 'wrong' : d.outcome, `${name(d.category_id)} ${d.score.toFixed(2)}`));
    const source = pictures.get(w.imageId);
    const picture =
      source === undefined
        ? ''
        : `<img src="${source}" alt="${escapeHtml(image.file_name)}" style="aspect-ratio:${image.width}/${image.height}">`;
    return `<figure><div class="picture" style="aspect-ratio:${image.width}/${image.height}">${picture}<svg viewBox="0 0 ${image.width} ${image.height}" preserveAspectRatio="none">${[...objects, ...detections].join('')}</svg></div>
<figcaption>${escapeHtml(image.file_name)}: ${w.right} right, ${w.falseAlarms} false alarms, ${w.missed} missed, ${w.confused} of another class</figcaption></figure>`;
  });
  return `<section><h2>Worst images</h2><p class="legend"><span class="right">right</span><span class="false">false alarm</span><span class="wrong">another class</span><span class="missed">missed object</span></p><div class="grid">${figures.join('')}</div></section>`;
}

function percent(value: number | null): string {
  return value === null ? '-' : (100 * value).toFixed(1);
}

const PAGE_STYLE = `:root{--good:#2e9e5b;--bad:#d9483b}.cards{display:flex;flex-wrap:wrap;gap:8px}.card{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:6px 12px;text-align:center}.card b{display:block;font-size:18px}.card span{font-size:12px;color:var(--soft)}
.scroll{overflow:auto;max-height:80vh}.chart{margin-top:8px}.u-legend{font-size:13px;color:var(--text)}.confusion th span{writing-mode:vertical-rl}.confusion td{min-width:34px;text-align:center;border:1px solid var(--line)}.confusion thead th{position:sticky;top:0;background:var(--ground);vertical-align:bottom}
svg rect,svg path{fill:none}svg text{font-family:system-ui,sans-serif;font-weight:600;paint-order:stroke;stroke:#000a;stroke-width:3px;fill:#fff}
.right rect{stroke:#35c46f}.right path{fill:#35c46f44}.false rect{stroke:#ff4d3d}.false path{fill:#ff4d3d44}.wrong rect{stroke:#c86bff}.wrong path{fill:#c86bff44}.missed rect,.confused rect{stroke:#ffb000;stroke-dasharray:6 4}.missed path{fill:#ffb00055}.crowd rect{stroke:#9aa3ae;stroke-dasharray:2 3}
.legend{display:flex;gap:16px}.legend span::before{content:'';display:inline-block;width:12px;height:12px;margin-right:6px;border:2px solid}.legend .right::before{border-color:#35c46f}.legend .false::before{border-color:#ff4d3d}.legend .wrong::before{border-color:#c86bff}.legend .missed::before{border:2px dashed #ffb000}`;

const PAGE_SCRIPT = `
const dark=matchMedia('(prefers-color-scheme:dark)').matches,axis={stroke:dark?'#9aa3ae':'#606873',grid:{stroke:dark?'#363c45':'#e2e4e8'}};
function draw(task,chosen){
  const data=CURVES[task],place=document.getElementById('chart-'+task),colors=['#0a6ed1','#e08a00','#2e9e5b'];
  const series=[{label:'recall'}],values=[data.recall];
  Object.entries(data.mean).forEach(([iou,curve],i)=>{series.push({label:'mean, IoU '+iou,stroke:colors[i],width:2});values.push(curve)});
  if(chosen!==''){series.push({label:data.names[chosen]+', IoU 0.50',stroke:'#c2185b',width:2,dash:[6,4]});values.push(data.classes[chosen])}
  place.replaceChildren();
  new uPlot({width:Math.min(760,document.body.clientWidth-40),height:330,scales:{x:{time:false,range:[0,1]},y:{range:[0,1.02]}},series,
    axes:[{...axis,label:'recall'},{...axis,label:'precision'}]},values,place)}
for(const task in CURVES){draw(task,'');document.querySelector('[data-curve="'+task+'"]').addEventListener('input',e=>draw(task,e.target.value))}`;
