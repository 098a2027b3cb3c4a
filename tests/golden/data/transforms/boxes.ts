import { BoxMode, convertBox } from '../../../../src/data/annotations/index.js';
import { boxCenters, boxesInside, clipBoxes, nonemptyBoxes, scaleBoxes } from '../../../../src/structures/boxes.js';
import { boxAreas, pairwiseIou } from '../../../../src/structures/pairwise_iou.js';
import { compareNumbers, compareValues, type Line } from '../../compare.js';
import { readJson } from '../json_file.js';

type Mode = keyof typeof BoxMode;

interface Golden {
  modes: Record<string, number>;
  conversions: {
    from: Mode;
    to: Mode;
    boxes: number[][];
    float64_array: number[][];
    float32_array: number[][];
    python_lists: number[][];
    python_int_lists: [number[], number[]][];
  }[];
  supported: [Mode, Mode, string][];
  boxes: number[][];
  clip: { size_hw: [number, number]; out: number[][] };
  nonempty: boolean[];
  nonempty_5: boolean[];
  area: number[];
  centers: number[][];
  inside: { size_hw: [number, number]; threshold: number; out: boolean[] };
  scale: { x: number; y: number; out: number[][] };
  iou: { a: number[][]; b: number[][]; out: number[][] };
}

/** Box modes and box arithmetic. */
export async function runBoxes(folder: string, caseName: string, add: (line: Line) => void): Promise<void> {
  const golden = readJson<Golden>(folder, 'boxes.json');
  const where = (name: string) => ({ case: caseName, name: `boxes/${name}` });
  add(compareValues(where('modes'), { ...BoxMode }, golden.modes, { abs: 0 }));
  for (const c of golden.conversions) {
    const converted = (boxes: number[][], arithmetic: 'float64' | 'float32' | 'int64'): number[] =>
      boxes.flatMap((box) => convertBox(box, BoxMode[c.from], BoxMode[c.to], arithmetic));
    const name = `${c.from}_to_${c.to}`;
    add(compareNumbers(where(`${name}.float64`), converted(c.boxes, 'float64'), c.float64_array.flat(), { abs: 1e-12 }));
    add(compareNumbers(where(`${name}.float32`), converted(c.boxes, 'float32'), c.float32_array.flat(), { abs: 1e-4 }));
    add(compareNumbers(where(`${name}.lists`), converted(c.boxes, 'float32'), c.python_lists.flat(), { abs: 1e-4 }));
    const integers = c.python_int_lists.map(([box]) => box);
    const expected = c.python_int_lists.flatMap(([, out]) => out);
    add(compareNumbers(where(`${name}.integers`), converted(integers, 'int64'), expected, { abs: 0 }));
  }
  const outcomes = golden.supported.map(([from, to]) => {
    try {
      convertBox(from === 'XYWHA_ABS' ? [1, 2, 3, 4, 5] : [1, 2, 3, 4], BoxMode[from], BoxMode[to]);
      return 'ok';
    } catch {
      return 'error';
    }
  });
  const theirs = golden.supported.map(([, , outcome]) => (outcome === 'ok' ? 'ok' : 'error'));
  add(compareValues(where('supported'), outcomes, theirs, { abs: 0 }));
  const boxes = Float32Array.from(golden.boxes.flat());
  add(compareNumbers(where('clip'), clipBoxes(boxes, ...golden.clip.size_hw), golden.clip.out.flat(), { abs: 1e-4 }));
  add(compareValues(where('nonempty'), nonemptyBoxes(boxes), golden.nonempty, { abs: 0 }));
  add(compareValues(where('nonempty_5'), nonemptyBoxes(boxes, 5), golden.nonempty_5, { abs: 0 }));
  add(compareNumbers(where('area'), boxAreas(boxes), golden.area, { abs: 1e-4 }));
  add(compareNumbers(where('centers'), boxCenters(boxes), golden.centers.flat(), { abs: 1e-4 }));
  const { inside, scale } = golden;
  add(compareValues(where('inside'), boxesInside(boxes, ...inside.size_hw, inside.threshold), inside.out, { abs: 0 }));
  add(compareNumbers(where('scale'), scaleBoxes(boxes, scale.x, scale.y), scale.out.flat(), { abs: 1e-4 }));
  const [a, b] = [golden.iou.a, golden.iou.b].map((list) => Float32Array.from(list.flat()));
  add(compareNumbers(where('iou'), pairwiseIou(a!, b!), golden.iou.out.flat(), { abs: 1e-5 }));
}
