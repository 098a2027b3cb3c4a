import { classColor, hexColor, type Instance, type StageMilliseconds } from '../../src/browser/index.js';
import { element } from './stage.js';

/** Says what goes on, or what went wrong. */
export function say(text: string, bad = false): void {
  const status = element('status');
  status.textContent = text;
  status.classList.toggle('bad', bad);
  status.setAttribute('role', bad ? 'alert' : 'status');
}

/** How much of a download is there; nothing hides the bar. */
export function showProgress(part: number | undefined): void {
  const bar = element<HTMLProgressElement>('progress');
  bar.hidden = part === undefined;
  if (part !== undefined && Number.isFinite(part)) bar.value = part;
}

/** Lists the instances; each can be reached by keyboard and marks itself in the picture. */
export function listInstances(instances: readonly Instance[], onActive: (instance: Instance | undefined) => void): void {
  const rows = instances.map((instance) => {
    const button = document.createElement('button');
    button.type = 'button';
    const swatch = document.createElement('i');
    swatch.style.background = hexColor(classColor(instance.classIndex));
    const score = document.createElement('b');
    score.textContent = `${Math.round(instance.score * 100)} %`;
    button.append(swatch, instance.className, score);
    for (const type of ['pointerenter', 'focus', 'click']) button.addEventListener(type, () => onActive(instance));
    for (const type of ['pointerleave', 'blur']) button.addEventListener(type, () => onActive(undefined));
    const row = document.createElement('li');
    row.append(button);
    return row;
  });
  if (rows.length === 0) {
    const none = document.createElement('li');
    none.className = 'none';
    none.textContent = 'Nothing above this score.';
    rows.push(none);
  }
  element('found').replaceChildren(...rows);
  element('found-title').textContent = instances.length === 0 ? 'Found' : `Found ${instances.length}`;
}

/** Marks the row of the instance under the pointer. */
export function markRow(index: number): void {
  element('found')
    .querySelectorAll('button')
    .forEach((button, i) => button.classList.toggle('active', i === index));
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
    : [['Nothing measured yet', '']];
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
