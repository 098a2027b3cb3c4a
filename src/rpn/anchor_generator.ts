import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';

export interface AnchorGeneratorOptions {
  /** Sizes (square root of the area, input pixels) per level, or one list for all levels. */
  readonly sizes: readonly (readonly number[])[];
  /** Height / width per level, or one list for all levels. */
  readonly aspectRatios: readonly (readonly number[])[];
  readonly strides: readonly number[];
  /** Of the first anchor's centre, in strides: 0 is the pixel's corner, 0.5 its centre. */
  readonly offset: number;
}

/** Anchors of a feature pyramid (Detectron2's `DefaultAnchorGenerator`): A fastest, then x, then y; sizes outer, ratios inner; not clipped. */
export class AnchorGenerator {
  /** Per level [A, 4], centred at 0. */
  readonly cellAnchors: readonly Float32Array<ArrayBuffer>[];

  constructor(private readonly options: AnchorGeneratorOptions) {
    const { strides } = options;
    const sizes = perLevel(options.sizes, strides.length, 'MODEL.ANCHOR_GENERATOR.SIZES');
    const ratios = perLevel(options.aspectRatios, strides.length, 'MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS');
    this.cellAnchors = strides.map((_, level) => cellAnchors(sizes[level], ratios[level]));
  }

  static fromConfig(cfg: Config, strides: readonly number[]): AnchorGenerator {
    const { NAME, SIZES, ASPECT_RATIOS, OFFSET } = cfg.MODEL.ANCHOR_GENERATOR;
    if (NAME !== 'DefaultAnchorGenerator')
      throw new ConfigError(`MODEL.ANCHOR_GENERATOR.NAME is ${NAME}; expected DefaultAnchorGenerator.`);
    return new AnchorGenerator({ sizes: SIZES, aspectRatios: ASPECT_RATIOS, strides, offset: OFFSET });
  }

  /** Anchors per location, equal on all levels. */
  get anchorsPerLocation(): number {
    return this.cellAnchors[0].length / 4;
  }

  /** Where a level's anchors stand: pixels between them, and the first one's centre in these. */
  grid(level: number): { stride: number; offset: number } {
    return { stride: this.options.strides[level], offset: this.options.offset };
  }

  /** Writes anchor `index` of a level whose map is `gridWidth` wide to `out[at..at+4]`. */
  anchorAt(level: number, gridWidth: number, index: number, out: Float32Array, at: number): void {
    const cells = this.cellAnchors[level];
    const count = cells.length / 4;
    const { offset, strides } = this.options;
    const location = Math.floor(index / count);
    const cell = (index - location * count) * 4;
    const row = Math.floor(location / gridWidth);
    const x = Math.fround((location - row * gridWidth + offset) * strides[level]);
    const y = Math.fround((row + offset) * strides[level]);
    out[at] = x + cells[cell];
    out[at + 1] = y + cells[cell + 1];
    out[at + 2] = x + cells[cell + 2];
    out[at + 3] = y + cells[cell + 3];
  }

  /** @returns all anchors of a level, [H * W * A, 4] in input pixels */
  level(level: number, gridHeight: number, gridWidth: number): Float32Array<ArrayBuffer> {
    const count = (gridHeight * gridWidth * this.cellAnchors[level].length) / 4;
    const anchors = new Float32Array(count * 4);
    for (let i = 0; i < count; i++) this.anchorAt(level, gridWidth, i, anchors, i * 4);
    return anchors;
  }
}

function cellAnchors(sizes: readonly number[], ratios: readonly number[]): Float32Array<ArrayBuffer> {
  const anchors: number[] = [];
  for (const size of sizes) {
    for (const ratio of ratios) {
      const width = Math.sqrt((size * size) / ratio);
      const height = ratio * width;
      anchors.push(-width / 2, -height / 2, width / 2, height / 2);
    }
  }
  return Float32Array.from(anchors);
}

function perLevel(lists: readonly (readonly number[])[], levels: number, key: string): readonly (readonly number[])[] {
  if (lists.length === levels) return lists;
  if (lists.length === 1) return Array.from({ length: levels }, () => lists[0]);
  throw new ConfigError(`${key} has ${lists.length} lists for ${levels} feature levels; expected 1 or ${levels}.`);
}
