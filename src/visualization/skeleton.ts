import type { Keypoint } from '../structures/detected_instances.js';
import type { Rgb } from './colors.js';

/** A line of a skeleton between two keypoints, by their names. */
export interface KeypointRule {
  readonly from: string;
  readonly to: string;
  /** 0 to 255. */
  readonly color: readonly [red: number, green: number, blue: number];
}

/** A skeleton to draw: lines first, then points. Pixels of the picture. */
export interface Skeleton {
  readonly lines: readonly { readonly ends: readonly [x0: number, y0: number, x1: number, y1: number]; readonly color: Rgb }[];
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Keypoints below this score are not drawn (Detectron2's `_KEYPOINT_THRESHOLD`). */
const SMALLEST_SCORE = 0.05;

export const POINT_COLOR: Rgb = [255, 0, 0];

const rule = (from: string, to: string, ...color: [number, number, number]): KeypointRule => ({ from, to, color });

/** The lines of COCO's persons in Detectron2's colours (`KEYPOINT_CONNECTION_RULES`). */
export const cocoKeypointRules: readonly KeypointRule[] = [
  rule('left_ear', 'left_eye', 102, 204, 255),
  rule('right_ear', 'right_eye', 51, 153, 255),
  rule('left_eye', 'nose', 102, 0, 204),
  rule('nose', 'right_eye', 51, 102, 255),
  rule('left_shoulder', 'right_shoulder', 255, 128, 0),
  rule('left_shoulder', 'left_elbow', 153, 255, 204),
  rule('right_shoulder', 'right_elbow', 128, 229, 255),
  rule('left_elbow', 'left_wrist', 153, 255, 153),
  rule('right_elbow', 'right_wrist', 102, 255, 224),
  rule('left_hip', 'right_hip', 255, 102, 0),
  rule('left_hip', 'left_knee', 255, 255, 77),
  rule('right_hip', 'right_knee', 153, 255, 204),
  rule('left_knee', 'left_ankle', 191, 255, 128),
  rule('right_knee', 'right_ankle', 255, 195, 77),
];

/**
 * What to draw of an object's keypoints (Detectron2's `draw_and_connect_keypoints`): a red point for each one that is sure enough, the lines of the
 * rules between them, and in red the neck and the spine where there are shoulders.
 */
export function skeletonOf(keypoints: readonly Keypoint[], rules: readonly KeypointRule[] = cocoKeypointRules): Skeleton {
  const shown = keypoints.filter(({ score }) => score > SMALLEST_SCORE);
  const places = new Map(shown.map(({ name, x, y }) => [name, [x, y] as const]));
  const middle = (left: string, right: string): readonly [number, number] | undefined => {
    const [a, b] = [places.get(left), places.get(right)];
    return a && b && [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  };
  const lines: Skeleton['lines'][number][] = [];
  const connect = (a: readonly [number, number] | undefined, b: readonly [number, number] | undefined, color: Rgb): void => {
    if (a && b) lines.push({ ends: [...a, ...b], color });
  };
  for (const { from, to, color } of rules) connect(places.get(from), places.get(to), color);
  const shoulders = middle('left_shoulder', 'right_shoulder');
  connect(places.get('nose'), shoulders, POINT_COLOR);
  connect(shoulders && middle('left_hip', 'right_hip'), shoulders, POINT_COLOR);
  return { lines, points: shown.map(({ x, y }) => [x, y]) };
}
