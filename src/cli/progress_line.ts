/** Shows how far a long piece of work is, on standard error. */
export interface ProgressLine {
  update(done: number, total: number | undefined): void;
  stop(): void;
}

/**
 * A bar on a terminal; elsewhere a line for every tenth, so that logs stay short. Nothing is shown before the first update.
 * @param title what is being done
 * @param unit  of the numbers; `MB` divides by a million
 */
export async function progressLine(title: string, unit: string): Promise<ProgressLine> {
  const scale = unit === 'MB' ? 1e6 : 1;
  if (!process.stderr.isTTY) {
    let tenth = -1;
    return {
      update(done, total) {
        const now = total ? Math.floor((10 * done) / total) : 0;
        if (now === tenth) return;
        tenth = now;
        const of = total ? ` of ${Math.round(total / scale)}` : '';
        process.stderr.write(`${title}: ${Math.round(done / scale)}${of} ${unit}\n`);
      },
      stop: () => undefined,
    };
  }
  const { SingleBar } = await import('cli-progress');
  const bar = new SingleBar({
    format: `${title} {bar} {percentage}% {value}/{total} ${unit}, {eta_formatted} left`,
    stream: process.stderr,
    hideCursor: true,
  });
  let started = false;
  return {
    update(done, total) {
      if (!started) bar.start(1, 0);
      started = true;
      bar.setTotal(Math.max(1, Math.round((total ?? done) / scale)));
      bar.update(Math.round(done / scale));
    },
    stop: () => void (started && bar.stop()),
  };
}
