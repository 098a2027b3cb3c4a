import { ConfigError } from '../../errors.js';
import { nearestNames } from '../../nearest_names.js';

/**
 * Which keypoint takes whose place in a mirrored picture, by names: `left_eye` and `right_eye` change places.
 * @param pairs further pairs of names
 */
export function keypointFlipIndices(names: readonly string[], pairs: readonly (readonly [string, string])[] = []): number[] {
  const other = new Map(pairs.flatMap(([a, b]) => [[a, b] as const, [b, a] as const]));
  return names.map((name, i) => {
    const opposite = otherSide(name);
    const index = names.indexOf(other.get(name) ?? (other.has(opposite) ? name : opposite));
    return index < 0 ? i : index;
  });
}

function otherSide(name: string): string {
  return name.replace(/left|right/i, (side) => OPPOSITE[side] ?? side);
}

const OPPOSITE: Readonly<Record<string, string>> = {
  left: 'right',
  right: 'left',
  Left: 'Right',
  Right: 'Left',
  LEFT: 'RIGHT',
  RIGHT: 'LEFT',
};

/**
 * The pairs of `INPUT.KEYPOINT_FLIP_PAIRS`, as names of the data set's keypoints.
 * @throws ConfigError for a row that is no pair, a name that no keypoint has, and one that is in two pairs
 */
export function keypointFlipPairs(rows: readonly (readonly (string | number)[])[], names: readonly string[]): [string, string][] {
  const taken = new Set<string>();
  return rows.map((row) => {
    const pair = row.map(String);
    const text = `INPUT.KEYPOINT_FLIP_PAIRS has [${pair.join(', ')}]`;
    if (pair.length !== 2)
      throw new ConfigError(`${text}; expected the names of the two keypoints that change places in a mirrored picture.`);
    for (const name of new Set(pair)) {
      if (!names.includes(name))
        throw new ConfigError(`${text}, and no keypoint is called ${name}; near it: ${nearestNames(name, names).join(', ')}.`);
      if (taken.has(name)) throw new ConfigError(`${text}, and ${name} is in a pair before; leave one of them out.`);
      taken.add(name);
    }
    return pair as [string, string];
  });
}

/**
 * What is likely wrong with the keypoints of mirrored pictures: a name says a side, and nothing is its other side; or no two change places at all.
 * Undefined where there is no doubt; a point that is paired with itself is in none.
 */
export function keypointFlipDoubt(
  names: readonly string[],
  pairs: readonly (readonly [string, string])[] = [],
): string | undefined {
  const told = new Set(pairs.flat());
  const indices = keypointFlipIndices(names, pairs);
  const unpaired = names.filter((name, i) => indices[i] === i && !told.has(name));
  const none = unpaired.length === names.length && names.length > 1;
  const doubtful = none ? unpaired : unpaired.filter((name) => SIDE.test(name));
  if (doubtful.length === 0) return undefined;
  const what = none
    ? `no two of the keypoints ${doubtful.join(', ')} change places`
    : `${doubtful.length === 1 ? 'the keypoint' : 'the keypoints'} ${doubtful.join(', ')} ${doubtful.length === 1 ? 'keeps its place' : 'keep their places'}`;
  const [a, b = a] = doubtful;
  return (
    `in mirrored pictures ${what}: only names with left and right in them are known to. ` +
    `Say which do, such as INPUT.KEYPOINT_FLIP_PAIRS=[["${a}","${b}"]] (a name twice: it is its own mirror image), or set INPUT.RANDOM_FLIP=none.`
  );
}

/** Names that say a side, at the start of a word: left, right, or L or R alone, as in `l_eye`. */
const SIDE = /(?<![A-Za-z])([Ll]eft|[Rr]ight|LEFT|RIGHT|[LlRr](?![A-Za-z]))|[a-z](Left|Right)/;
