/** Tells what set-up does; the command line draws bars with it, a program may pass its own. */
export interface SetupProgress {
  /** One line of text. */
  say(line: string): void;
  /** Runs a part; `tell` gets what is done and the total, in `unit`. */
  step<T>(name: string, unit: string, work: (tell: (done: number, total: number) => void) => Promise<T>): Promise<T>;
}

/** Says and draws nothing. */
export const SILENT: SetupProgress = { say: () => undefined, step: (_name, _unit, work) => work(() => undefined) };
