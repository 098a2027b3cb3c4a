import { expect, it } from 'vitest';
import { evaluationProgress } from '../../../src/engine/hooks/evaluation_progress.js';

it('says every twenty seconds how far a long evaluation is, and nothing of a short one', () => {
  let clock = 5_000;
  const lines: string[] = [];
  const tell = evaluationProgress(
    (line) => lines.push(line),
    () => clock,
  );
  for (let done = 1; done <= 10; done++) {
    clock += 9_000;
    tell(done, 100);
  }
  expect(lines).toEqual([
    'evaluation: 3 of 100 pictures, about 15 min left',
    'evaluation: 6 of 100 pictures, about 14 min left',
    'evaluation: 9 of 100 pictures, about 14 min left',
  ]);
  lines.length = 0;
  const short = evaluationProgress(
    (line) => lines.push(line),
    () => clock,
  );
  clock += 60_000;
  short(2, 2);
  expect(lines).toEqual([]);
});
