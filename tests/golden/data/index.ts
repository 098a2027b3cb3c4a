import type { Line } from '../compare.js';

/** Runs one folder of a data format; `only` does not cut here: these formats serve both inference and training. */
export type DataRunner = (folder: string, caseName: string, add: (line: Line) => void) => Promise<void>;

/** The runner of a data format; imported only when such a folder is met. */
export const DATA: Record<string, () => Promise<DataRunner>> = {
  resize: async () => (await import('./resize.js')).runResize,
  image_io: async () => (await import('./image_io.js')).runImageIo,
  cocoeval: async () => (await import('./cocoeval.js')).runCocoEval,
  coco_json: async () => (await import('./coco_json.js')).runCocoJson,
  panoptic: async () => (await import('./panoptic.js')).runPanoptic,
  rle: async () => (await import('./rle.js')).runRle,
  semseg: async () => (await import('./semseg.js')).runSemseg,
  transforms: async () => (await import('./transforms/index.js')).runTransforms,
  solver: async () => (await import('./solver.js')).runSolver,
};
