import type { Image } from '../data/image_io/pixel_formats.js';
import { ArgumentError } from '../errors.js';
import type { StageMilliseconds } from '../structures/detected_instances.js';
import { Prediction } from '../structures/prediction.js';
import { type ImageInput, type RawPixels, readInput } from './image_input.js';
import { mergeTiles, type Rectangle, type TileResult } from './merge_tiles.js';
import type { PredictOptions } from './predictor_core.js';

export interface TiledOptions extends PredictOptions {
  /** Side of a tile in pixels of the picture; 1024 unless given. */
  readonly tile?: number;
  /** Share of a tile that the next one shows again, 0 to below 1; 0.25 unless given. Objects should fit into the overlap, or reach through it. */
  readonly overlap?: number;
  /** How far two tiles must agree on the pixels that both see, as intersection over union; 0.5 unless given. */
  readonly mergeIou?: number;
  /** Called after every tile. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What tiles are given to: a `Predictor`. */
export interface TilePredictor {
  predict(input: RawPixels, options?: PredictOptions): Promise<Prediction>;
}

/**
 * Finds the instances of a large picture piece by piece, each piece at the size that the model works at, so that small objects stay large enough: tiles
 * that overlap, and a merging by what both of two tiles see (`mergeTiles`). An object that a tile's border cuts comes out once, with the union of its
 * masks. A picture that fits into one tile gives what `predict` gives. Semantic and panoptic maps are not merged; the result has none.
 * @throws ArgumentError for a tile or an overlap that makes no sense; what `predict` throws
 */
export async function predictTiled(
  predictor: TilePredictor,
  input: ImageInput,
  { tile = 1024, overlap = 0.25, mergeIou = 0.5, onProgress, ...options }: TiledOptions = {},
): Promise<Prediction> {
  if (!(Number.isInteger(tile) && tile > 0))
    throw new ArgumentError(`tile is ${tile}; expected a whole number of pixels above 0.`);
  if (!(overlap >= 0 && overlap < 1)) throw new ArgumentError(`overlap is ${overlap}; expected a share from 0 to below 1.`);
  const start = performance.now();
  const image = await readInput(input, options);
  const decode = performance.now() - start;
  const tiles = tilesOf(image, tile, overlap);
  if (tiles.length === 1) {
    const prediction = await predictor.predict(image, options);
    onProgress?.(1, 1);
    return prediction;
  }
  const times = { decode, resize: 0, preprocess: 0, proposals: 0, heads: 0 };
  const results: TileResult[] = [];
  for (const [i, place] of tiles.entries()) {
    const found = await predictor.predict(cut(image, place), options);
    results.push({ tile: place, instances: found.instances });
    for (const stage of Object.keys(times) as (keyof StageMilliseconds)[]) times[stage] += found.times[stage];
    onProgress?.(i + 1, tiles.length);
  }
  return new Prediction(mergeTiles(results, image, mergeIou), image, times);
}

/** Where the tiles lie, row by row: the last of a row or column ends at the picture's border. */
export function tilesOf(
  { height, width }: { readonly height: number; readonly width: number },
  tile: number,
  overlap: number,
): Rectangle[] {
  const step = Math.max(1, Math.floor(tile * (1 - overlap)));
  const starts = (length: number): number[] => {
    const count = Math.max(1, Math.ceil((length - tile) / step) + 1);
    return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(i * step, length - tile)));
  };
  return starts(height).flatMap((y0) =>
    starts(width).map((x0) => ({ x0, y0, x1: Math.min(x0 + tile, width), y1: Math.min(y0 + tile, height) })),
  );
}

function cut({ data, width }: Image, { x0, y0, x1, y1 }: Rectangle): RawPixels {
  const row = (x1 - x0) * 3;
  const out = new Uint8Array(row * (y1 - y0));
  for (let y = y0; y < y1; y++) out.set(data.subarray((y * width + x0) * 3, (y * width + x1) * 3), (y - y0) * row);
  return { data: out, height: y1 - y0, width: x1 - x0 };
}
