/** Milliseconds until the first line, and between lines. */
const QUIET = 20_000;

/**
 * Prints how far an evaluation is, so that a long one is not taken for a run that hangs; nothing of a short one.
 * @param now milliseconds
 * @returns to call after every picture
 */
export function evaluationProgress(
  print: (line: string) => void,
  now: () => number = () => performance.now(),
): (done: number, total: number) => void {
  const start = now();
  let told = start;
  return (done, total) => {
    const time = now();
    if (time - told < QUIET || done === total) return;
    told = time;
    const left = ((time - start) / done) * (total - done);
    print(`evaluation: ${done} of ${total} pictures, about ${minutes(left)} left`);
  };
}

function minutes(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 100 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
