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
  /** torchvision's rules: corners rounded to whole pixels, strides from the sizes of the maps (see `forMaps`). */
  readonly rounded?: boolean;
}

/** The size of one level's map. */
export interface MapSize {
  readonly height: number;
  readonly width: number;
}

/** Anchors of a feature pyramid (Detectron2's `DefaultAnchorGenerator`): A fastest, then x, then y; sizes outer, ratios inner; not clipped. */
export class AnchorGenerator {
  /** Per level [A, 4], centred at 0. */
  readonly cellAnchors: readonly Float32Array<ArrayBuffer>[];
  /** Per level: pixels between anchors, down and across. */
  private readonly steps: readonly { readonly y: number; readonly x: number }[];

  constructor(
    private readonly options: AnchorGeneratorOptions,
    steps?: readonly { readonly y: number; readonly x: number }[],
  ) {
    const { strides } = options;
    this.steps = steps ?? strides.map((stride) => ({ y: stride, x: stride }));
    const sizes = perLevel(options.sizes, strides.length, 'MODEL.ANCHOR_GENERATOR.SIZES');
    const ratios = perLevel(options.aspectRatios, strides.length, 'MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS');
    this.cellAnchors = strides.map((_, level) =>
      (options.rounded ? roundedCellAnchors : cellAnchors)(sizes[level], ratios[level]),
    );
  }

  static fromConfig(cfg: Config, strides: readonly number[]): AnchorGenerator {
    const { NAME, SIZES, ASPECT_RATIOS, OFFSET } = cfg.MODEL.ANCHOR_GENERATOR;
    if (NAME !== 'DefaultAnchorGenerator')
      throw new ConfigError(`MODEL.ANCHOR_GENERATOR.NAME is ${NAME}; expected DefaultAnchorGenerator.`);
    return new AnchorGenerator({
      sizes: SIZES,
      aspectRatios: ASPECT_RATIOS,
      strides,
      offset: OFFSET,
      rounded: cfg.MODEL.CONVENTIONS === 'torchvision',
    });
  }

  /** Anchors per location, equal on all levels. */
  get anchorsPerLocation(): number {
    return this.cellAnchors[0].length / 4;
  }

  /**
   * The generator for maps of these sizes, finest first. torchvision takes as stride the padded input's side over the map's, rounded down: where
   * the coarsest map has an odd side that is less than its nominal stride.
   */
  forMaps(maps: readonly MapSize[]): AnchorGenerator {
    if (!this.options.rounded) return this;
    const [finest] = maps;
    const stride = this.options.strides[0];
    const steps = maps.map(({ height, width }) => ({
      y: Math.floor((finest.height * stride) / height),
      x: Math.floor((finest.width * stride) / width),
    }));
    return new AnchorGenerator(this.options, steps);
  }

  /** Where a level's anchors stand: pixels between them, and the first one's centre in these. */
  grid(level: number): { strideY: number; strideX: number; offset: number } {
    const { y, x } = this.steps[level];
    return { strideY: y, strideX: x, offset: this.options.offset };
  }

  /** Writes anchor `index` of a level whose map is `gridWidth` wide to `out[at..at+4]`. */
  anchorAt(level: number, gridWidth: number, index: number, out: Float32Array, at: number): void {
    const cells = this.cellAnchors[level];
    const count = cells.length / 4;
    const { offset } = this.options;
    const step = this.steps[level];
    const location = Math.floor(index / count);
    const cell = (index - location * count) * 4;
    const row = Math.floor(location / gridWidth);
    const x = Math.fround((location - row * gridWidth + offset) * step.x);
    const y = Math.fround((row + offset) * step.y);
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

  /** @param sizes of the levels' maps @returns the anchors of all levels one after another, [total, 4] */
  levels(sizes: readonly MapSize[]): Float32Array<ArrayBuffer> {
    const anchors = this.forMaps(sizes);
    const levels = sizes.map(({ height, width }, level) => anchors.level(level, height, width));
    const all = new Float32Array(levels.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const level of levels) {
      all.set(level, at);
      at += level.length;
    }
    return all;
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

/** torchvision's: computed in float32, corners rounded to whole pixels, halves to even. */
function roundedCellAnchors(sizes: readonly number[], ratios: readonly number[]): Float32Array<ArrayBuffer> {
  const f = Math.fround;
  const anchors: number[] = [];
  for (const ratio of ratios) {
    const height = f(Math.sqrt(f(ratio)));
    const width = f(1 / height);
    for (const size of sizes) {
      const [w, h] = [f(f(width * f(size)) / 2), f(f(height * f(size)) / 2)];
      anchors.push(roundHalfToEven(-w), roundHalfToEven(-h), roundHalfToEven(w), roundHalfToEven(h));
    }
  }
  return Float32Array.from(anchors);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function perLevel(lists: readonly (readonly number[])[], levels: number, key: string): readonly (readonly number[])[] {
  if (lists.length === levels) return lists;
  if (lists.length === 1) return Array.from({ length: levels }, () => lists[0]);
  throw new ConfigError(`${key} has ${lists.length} lists for ${levels} feature levels; expected 1 or ${levels}.`);
}
