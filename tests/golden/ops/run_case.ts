import { compareNumbers, compareTensor, compareValues, unsupported, type Line, type Tolerance } from '../compare.js';
import { NOT_YET, Unsupported } from '../unsupported.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

export type Only = 'inference' | 'training' | undefined;

/** Runs one case and compares what it gives; needs no files, so that a browser can run it. */
export async function runCase(
  name: string,
  view: CaseView,
  adapter: OpsAdapter,
  only: Only,
  add: (line: Line) => void,
): Promise<void> {
  const wanted = Object.keys(view.golden.outputs).filter((output) => {
    const purpose = output.startsWith('grad') ? 'training' : adapter.purpose;
    return only === undefined || purpose === 'both' || purpose === only;
  });
  if (wanted.length === 0) return;
  let outputs: Record<string, OpsOutput>;
  try {
    outputs = await adapter.run(view);
  } catch (error) {
    const note = error instanceof Error ? error.message : String(error);
    for (const output of wanted) {
      add(error instanceof Unsupported ? unsupported(name, output, note) : { case: name, name: output, ok: false, note });
    }
    return;
  }
  for (const output of wanted) {
    const where = { case: name, name: output };
    const actual = outputs[output];
    if (!actual) add(unsupported(name, output, NOT_YET));
    else add(adapter.compare?.(view, where, actual) ?? compareOutput(view, where, actual));
  }
}

function compareOutput(view: CaseView, where: { case: string; name: string }, actual: OpsOutput): Line {
  const expected = view.output(where.name);
  const tolerance = toleranceOf(view, where.name);
  if ('tensor' in expected) {
    if ('value' in actual) return { ...where, ok: false, note: 'a value where the golden has a tensor' };
    return compareTensor(where, actual, expected.tensor, tolerance);
  }
  if ('value' in actual) return compareValues(where, actual.value, expected.value, tolerance);
  return compareNumbers(where, actual.data, [expected.value].flat(Infinity) as number[], tolerance);
}

/** The case's `atol`; a note may ask for a relative tolerance on one output. Integers are exact. */
function toleranceOf(view: CaseView, output: string): Tolerance {
  const entry = view.golden.outputs[output]!;
  if (entry.dtype !== undefined && !entry.dtype.startsWith('float') && view.golden.atol < 1) return { abs: 0 };
  const relative = /relative tolerance ([\d.e+-]+) on '([\w.]+)'/.exec(view.note);
  return { abs: view.golden.atol, ...(relative?.[2] === output ? { rel: Number(relative[1]) } : {}) };
}
