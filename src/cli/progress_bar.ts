/** Says how far the work is: `done` of the total. */
export type Tick = (done: number) => void;

/** Shorter work needs no bar. */
const QUIET_MS = 2000;

/**
 * Runs work that may take long. After two seconds a bar appears on a terminal's standard error; where there is no terminal, one line says that it goes
 * on, and one that it is done.
 */
export async function withProgress<T>(name: string, total: number, work: (tick: Tick) => Promise<T>): Promise<T> {
  const start = Date.now();
  let shown: { update(done: number): void; stop(): void } | undefined;
  const tick: Tick = (done) => {
    if (!shown && Date.now() - start > QUIET_MS) shown = show(name, total);
    shown?.update(done);
  };
  const { SingleBar } = await import('cli-progress');
  function show(label: string, of: number): { update(done: number): void; stop(): void } {
    if (!process.stderr.isTTY) {
      process.stderr.write(`${label} ...\n`);
      return {
        update: () => undefined,
        stop: () => void process.stderr.write(`${label}: done in ${((Date.now() - start) / 1000).toFixed(1)} s\n`),
      };
    }
    const bar = new SingleBar({
      format: `${label} {bar} {percentage}% {value}/{total}`,
      stream: process.stderr,
      hideCursor: true,
    });
    bar.start(of, 0);
    return bar;
  }
  try {
    return await work(tick);
  } finally {
    shown?.stop();
  }
}
