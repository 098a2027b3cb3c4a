import type { Line } from './compare.js';

/** Counts lines and prints them, as text or as one JSON object a line. */
export class Report {
  passed = 0;
  failed = 0;
  unsupported = 0;

  constructor(
    private readonly json: boolean,
    private readonly write: (text: string) => void = (text) => process.stdout.write(text),
  ) {}

  add(line: Line): void {
    if (line.ok === undefined) this.unsupported++;
    else if (line.ok) this.passed++;
    else this.failed++;
    this.write(`${this.json ? JSON.stringify({ ...line, status: status(line) }) : formatLine(line)}\n`);
  }

  /** Prints the totals; returns the exit code. */
  finish(): number {
    const { passed, failed, unsupported } = this;
    this.write(
      this.json
        ? `${JSON.stringify({ passed, failed, unsupported })}\n`
        : `${passed} passed, ${failed} failed, ${unsupported} unsupported\n`,
    );
    return failed ? 1 : 0;
  }
}

const status = (line: Line): string => (line.ok === undefined ? 'unsupported' : line.ok ? 'ok' : 'FAIL');

/** `case  name  max abs  max rel  tolerance  ok|FAIL`, or `case  name  unsupported: reason`. */
export function formatLine(line: Line): string {
  if (line.ok === undefined) return `${line.case}  ${line.name}  unsupported: ${line.note ?? 'no reason given'}`;
  const number = (v: number | undefined): string => (v === undefined ? '-' : v === 0 ? '0' : v.toExponential(2));
  const note = line.note ? `  (${line.note})` : '';
  return `${line.case}  ${line.name}  abs ${number(line.maxAbs)}  rel ${number(line.maxRel)}  tol ${line.tolerance ?? 'exact'}  ${status(line)}${note}`;
}
