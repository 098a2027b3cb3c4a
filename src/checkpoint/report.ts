import type { ConversionReport } from './convert.js';
import type { LoadReport } from './load.js';
import type { CheckpointFormat } from './read.js';

const FORMATS: Readonly<Record<CheckpointFormat, string>> = {
  'detectron2-pkl': 'Detectron2 .pkl',
  'caffe2-pkl': 'Caffe2 / Detectron1 .pkl',
  pth: 'PyTorch .pth',
  safetensors: 'safetensors',
  hdf5: 'HDF5 (Keras) .h5',
};

type Row = [label: string, count: number | string, detail: string];

/** A table for the terminal: how a checkpoint fitted a model, with the names that a reader has to see. */
export function formatLoadReport(report: LoadReport): string {
  return table([['weights', '', `${report.source} (${FORMATS[report.format]})`], ...fitRows(report)]);
}

/** A table for the terminal: what was read and what was written. */
export function formatConversionReport(report: ConversionReport): string {
  const rows: Row[] = [
    ['read', megabytes(report.bytes.source), `${report.source} (${FORMATS[report.format]})`],
    ['written', megabytes(report.bytes.output), `${report.output} (${FORMATS[report.outputFormat]})`],
    [
      'tensors',
      report.tensors,
      `${report.elements} elements; ${Object.entries(report.dtypes)
        .map(([dtype, count]) => `${count} ${dtype}`)
        .join(', ')}`,
    ],
  ];
  if (report.fit) rows.push(...fitRows(report.fit));
  else rows.push(['left out', report.ignored.length, names(report.ignored)]);
  return table(rows);
}

function fitRows(report: LoadReport): Row[] {
  return [
    ['loaded', report.loaded.length, ''],
    ['transposed', report.transposed.length, 'of the loaded: kernels and matrices in our layout'],
    [
      'reshaped',
      report.reshaped.length,
      names(report.reshaped.map(({ name, from, to }) => `${name} [${from.join(', ')}] to [${to.join(', ')}]`)),
    ],
    ['re-initialised', report.reinitialised.length, names(report.reinitialised)],
    ['unused', report.unused.length, names(report.unused)],
    ['harmless', report.harmless.length, names(report.harmless)],
  ];
}

function names(list: readonly string[], shown = 6): string {
  return list.slice(0, shown).join(', ') + (list.length > shown ? ` and ${list.length - shown} more` : '');
}

function megabytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function table(rows: readonly Row[]): string {
  const labels = Math.max(...rows.map(([label]) => label.length));
  const counts = Math.max(...rows.map(([, count]) => String(count).length));
  return rows
    .map(([label, count, detail]) => `${label.padEnd(labels)}  ${String(count).padStart(counts)}  ${detail}`.trimEnd())
    .join('\n');
}
