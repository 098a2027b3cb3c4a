import type { BackendInfo, StageMilliseconds } from '../../src/browser/index.js';
import { element } from './stage.js';

/** Says what goes on, or what went wrong: each in a place of its own, which screen readers announce with their own urgency. */
export function say(text: string, bad = false): void {
  element('status').textContent = bad ? '' : text;
  element('problem').textContent = bad ? text : '';
}

/** What computes, and why faster devices do not; nothing while none does. */
export function showDevice(backend: BackendInfo | undefined): void {
  element('device-info').textContent = backend ? `Runs on ${backend.description}.` : '';
  element('skipped').hidden = !backend?.skipped.length;
  element('skipped-reasons').replaceChildren(
    ...(backend?.skipped ?? []).map(({ reason }) => {
      const item = document.createElement('li');
      item.textContent = reason.replace(/^device /, '');
      return item;
    }),
  );
}

/** How much of a download is there; nothing hides the bar. */
export function showProgress(part: number | undefined): void {
  const bar = element<HTMLProgressElement>('progress');
  bar.hidden = part === undefined;
  if (part !== undefined && Number.isFinite(part)) bar.value = part;
}

const STAGES: readonly [keyof StageMilliseconds, string][] = [
  ['decode', 'Decode'],
  ['resize', 'Resize'],
  ['preprocess', 'Normalise'],
  ['proposals', 'Backbone and proposals'],
  ['heads', 'Boxes and masks'],
];

/** Milliseconds by stage, with whatever else is to be said. */
export function showTimes(times: StageMilliseconds | undefined, more: readonly [string, string][] = []): void {
  const rows: [string, string, string?][] = times
    ? [
        ...STAGES.map(([key, name]): [string, string] => [name, milliseconds(times[key])]),
        ['Together', milliseconds(STAGES.reduce((sum, [key]) => sum + times[key], 0)), 'total'],
        ...more,
      ]
    : [['Nothing measured yet.', '']];
  element('times').replaceChildren(
    ...rows.flatMap(([name, value, kind]) => {
      const term = document.createElement('dt');
      term.textContent = name;
      const detail = document.createElement('dd');
      detail.textContent = value;
      if (kind) [term.className, detail.className] = [kind, kind];
      return [term, detail];
    }),
  );
}

function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** Gives the user a file. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
