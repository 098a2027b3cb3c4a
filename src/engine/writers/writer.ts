/** Where the numbers of a run go. */
export interface Writer {
  /** Before the first row. @param iteration the one that the run goes on from: rows from there on are of an earlier run that stopped */
  open?(iteration: number): Promise<void> | void;
  /** @param iteration the last one that was made, from 0 */
  write(iteration: number, scalars: Readonly<Record<string, number>>): Promise<void> | void;
  /** @param error what ended the run, where something did */
  close?(error?: unknown): Promise<void> | void;
}
