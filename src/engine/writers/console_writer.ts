import type { Writer } from './writer.js';

/** One line as Detectron2's: `eta: 0:12:34  iter: 19  total_loss: 1.23  ...  time: 0.51  data_time: 0.02  lr: 0.002  mem: 812M`, and one for results. */
export class ConsoleWriter implements Writer {
  constructor(private readonly print: (line: string) => void) {}

  write(iteration: number, scalars: Readonly<Record<string, number>>): void {
    const losses = Object.keys(scalars).filter((name) => name.startsWith('loss'));
    const parts = [
      ['eta', scalars.eta_seconds === undefined ? undefined : duration(scalars.eta_seconds)],
      ['iter', String(iteration)],
      ...['total_loss', ...losses].map((name) => [name, scalars[name]?.toPrecision(4)] as const),
      ['time', scalars.time?.toFixed(4)],
      ['data_time', scalars.data_time?.toFixed(4)],
      ['lr', scalars.lr?.toPrecision(5)],
      ['mem', scalars.memory_mb === undefined ? undefined : `${scalars.memory_mb}M`],
    ];
    if (scalars.total_loss !== undefined)
      this.print(parts.flatMap(([name, value]) => (value === undefined ? [] : `${name}: ${value}`)).join('  '));
    const results = Object.entries(scalars).filter(([name]) =>
      /^(bbox|segm|keypoints)\/(AP|AP50|AP75)$|^panoptic_seg\/PQ$|^sem_seg\/mIoU$|^validation\/total_loss$/.test(name),
    );
    if (results.length > 0)
      this.print(`iter: ${iteration}  ${results.map(([name, value]) => `${name}: ${value.toFixed(3)}`).join('  ')}`);
  }
}

/** `1 day, 2:03:04` or `2:03:04`. */
function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  const days = Math.floor(whole / 86400);
  const time = `${Math.floor((whole % 86400) / 3600)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  return days === 0 ? time : `${days} day${days === 1 ? '' : 's'}, ${time}`;
}
