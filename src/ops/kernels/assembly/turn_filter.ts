// A filter for the way back: turned by half a circle, the inputs and outputs of each group exchanged.

/** Inputs that are written side by side: a line of the cache. */
const LINE = 16;

/**
 * turned[taps - 1 - t][k][g * C / groups + c] = filter[t][c][g * K / groups + k]. Of one tap and one group: the transpose.
 * @param filter [taps, C / groups, K]
 * @param turned [taps, K / groups, C]
 * @param inputs C / groups
 */
export function turnFilter(filter: usize, turned: usize, taps: i32, inputs: i32, outs: i32, groups: i32): void {
  const perGroup = outs / groups;
  const row = <usize>outs << 2;
  const turnedRow = <usize>(groups * inputs) << 2;
  const tapBytes = <usize>inputs * row;
  for (let t = 0; t < taps; t++) {
    for (let g = 0; g < groups; g++) {
      const from = filter + <usize>t * tapBytes + (<usize>(g * perGroup) << 2);
      const to = turned + <usize>(taps - 1 - t) * tapBytes + (<usize>(g * inputs) << 2);
      for (let first = 0; first < inputs; first += LINE) {
        const end = min(inputs, first + LINE);
        let k = 0;
        for (; k + 4 <= perGroup; k += 4) {
          let c = first;
          for (; c + 4 <= end; c += 4) turnSquare(from + <usize>c * row + (<usize>k << 2), row, to + <usize>k * turnedRow + (<usize>c << 2), turnedRow);
          for (; c < end; c++) turnOne(from, row, to, turnedRow, c, k, k + 4);
        }
        for (let c = first; c < end; c++) turnOne(from, row, to, turnedRow, c, k, perGroup);
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function turnOne(from: usize, row: usize, to: usize, turnedRow: usize, c: i32, first: i32, end: i32): void {
  for (let k = first; k < end; k++)
    store<f32>(to + <usize>k * turnedRow + (<usize>c << 2), load<f32>(from + <usize>c * row + (<usize>k << 2)));
}

// @ts-ignore: decorator
@inline
function turnSquare(from: usize, row: usize, to: usize, turnedRow: usize): void {
  const a = v128.load(from), b = v128.load(from + row), c = v128.load(from + 2 * row), d = v128.load(from + 3 * row);
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5), ab2 = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5), cd2 = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i32>(ab, cd, 0, 1, 4, 5));
  v128.store(to + turnedRow, v128.shuffle<i32>(ab, cd, 2, 3, 6, 7));
  v128.store(to + 2 * turnedRow, v128.shuffle<i32>(ab2, cd2, 0, 1, 4, 5));
  v128.store(to + 3 * turnedRow, v128.shuffle<i32>(ab2, cd2, 2, 3, 6, 7));
}
