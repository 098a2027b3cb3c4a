import * as tf from '@tensorflow/tfjs-core';
import { withoutTape } from '../autodiff/tape.js';
import type { Config } from '../config/index.js';
import { roundHalfEven } from '../data/transforms/rounding.js';
import { ConfigError } from '../errors.js';
import { Conv2d } from '../layers/conv2d.js';
import { Module, type ModelParameter } from '../layers/module.js';
import { single } from '../layers/norm.js';
import { Backbone, type FeatureMaps, type FeatureShapes } from './backbone.js';
import { RegNetBlock } from './regnet_blocks.js';

export interface RegNetOptions {
  /** Blocks in all. */
  readonly depth: number;
  readonly stemWidth: number;
  /** The widths of the blocks before they are made equal within a stage: `w0 + wa * i`. */
  readonly w0: number;
  readonly wa: number;
  /** How many times as wide a stage is as the one before, about. */
  readonly wm: number;
  readonly groupWidth: number;
  readonly seRatio: number;
  readonly norm: string;
  /** 0: nothing, 1: stem, 2: stem and s1, ... */
  readonly freezeAt: number;
}

/** Widths are multiples of this. */
const QUANTUM = 8;

/** Blocks of one width one after another; its children are named b1, b2, ... */
class RegNetStage extends Module {
  constructor(private readonly blocks: readonly RegNetBlock[]) {
    super();
    blocks.forEach((block, i) => this.child(`b${i + 1}`, block));
  }

  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => this.blocks.reduce((y, block) => block.forward(y), x));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward(single(inputs));
  }
}

/** RegNetX and, with squeeze and excitation, RegNetY (Radosavovic et al. 2020; Detectron2's `RegNet`): stages s1, s2, ... at strides 4, 8, ... */
export class RegNet extends Backbone {
  readonly outShapes: FeatureShapes = {};
  readonly sizeDivisibility = 0;
  private readonly stem: Conv2d;
  private readonly stages: { name: string; stage: RegNetStage }[] = [];

  constructor(options: RegNetOptions) {
    super();
    const { stemWidth, seRatio, norm, freezeAt } = options;
    this.stem = this.child(
      'stem.conv',
      new Conv2d({ inChannels: 3, outChannels: stemWidth, kernelSize: 3, stride: 2, padding: 1, norm, activation: 'relu' }),
    );
    if (freezeAt >= 1) this.stem.freeze();
    let inChannels = stemWidth;
    regNetStages(options).forEach(({ width, depth, groupWidth }, i) => {
      const blocks = Array.from({ length: depth }, (_, block) => {
        const common = { outChannels: width, groupWidth, seRatio, norm };
        return new RegNetBlock({ ...common, inChannels: block === 0 ? inChannels : width, stride: block === 0 ? 2 : 1 });
      });
      const name = `s${i + 1}`;
      const stage = this.child(name, new RegNetStage(blocks));
      if (freezeAt >= i + 2) stage.freeze();
      this.stages.push({ name, stage });
      this.outShapes[name] = { channels: width, stride: 4 << i };
      inChannels = width;
    });
  }

  static fromConfig(cfg: Config): RegNet {
    const { DEPTH, STEM_WIDTH, W_0, W_A, W_M, GROUP_WIDTH, SE_RATIO, NORM } = cfg.MODEL.REGNETS;
    if (!(DEPTH > 0 && W_0 > 0 && W_0 % QUANTUM === 0 && W_A >= 0 && W_M > 1 && GROUP_WIDTH > 0))
      throw new ConfigError(
        `MODEL.REGNETS needs a DEPTH and a GROUP_WIDTH above 0, W_0 a multiple of ${QUANTUM}, W_A from 0 and W_M above 1; ` +
          `got DEPTH ${DEPTH}, GROUP_WIDTH ${GROUP_WIDTH}, W_0 ${W_0}, W_A ${W_A}, W_M ${W_M}.`,
      );
    return new RegNet({
      depth: DEPTH,
      stemWidth: STEM_WIDTH,
      w0: W_0,
      wa: W_A,
      wm: W_M,
      groupWidth: GROUP_WIDTH,
      seRatio: SE_RATIO,
      norm: NORM,
      freezeAt: cfg.MODEL.BACKBONE.FREEZE_AT,
    });
  }

  forward(x: tf.Tensor4D, trace?: (name: string, value: tf.Tensor) => void): FeatureMaps {
    return tf.tidy(() => {
      const outputs: FeatureMaps = {};
      let y = this.stem.isFrozen ? withoutTape(() => this.stem.forward(x)) : this.stem.forward(x);
      for (const { name, stage } of this.stages) {
        const input = y;
        y = stage.isFrozen ? withoutTape(() => stage.forward(input)) : stage.forward(input);
        trace?.(`backbone.${name}`, y);
        outputs[name] = y;
      }
      return outputs;
    });
  }

  /** A norm is beside its convolution in Detectron2's names of this backbone, not below it. */
  override modelParameters(prefix = ''): ModelParameter[] {
    return super.modelParameters(prefix).map((parameter) => ({
      ...parameter,
      name: parameter.name
        .replace(/\bstem\.conv\.norm\./, 'stem.bn.')
        .replace(/\.proj\.norm\./, '.bn.')
        .replace(/\.f\.([abc])\.norm\./, '.f.$1_bn.'),
    }));
  }
}

/** Width, number of blocks and channels a group of each stage (section 3.3 of the paper; Detectron2's `generate_regnet_parameters`). */
export function regNetStages({
  depth,
  w0,
  wa,
  wm,
  groupWidth,
}: Pick<RegNetOptions, 'depth' | 'w0' | 'wa' | 'wm' | 'groupWidth'>): {
  width: number;
  depth: number;
  groupWidth: number;
}[] {
  const depths = new Map<number, number>();
  for (let i = 0; i < depth; i++) {
    const power = roundHalfEven(Math.log((w0 + wa * i) / w0) / Math.log(wm));
    const width = roundHalfEven((w0 * wm ** power) / QUANTUM) * QUANTUM;
    depths.set(width, (depths.get(width) ?? 0) + 1);
  }
  return [...depths]
    .sort(([a], [b]) => a - b)
    .map(([width, count]) => {
      const group = Math.min(groupWidth, width);
      return { width: Math.max(group, roundHalfEven(width / group) * group), depth: count, groupWidth: group };
    });
}
