import * as tf from '@tensorflow/tfjs-core';
import { withoutTape } from '../autodiff/tape.js';
import type { Config } from '../config/index.js';
import { ConfigError } from '../errors.js';
import { Backbone, type FeatureMaps, type FeatureShapes } from './backbone.js';
import { BasicBlock, BottleneckBlock, DeformBottleneckBlock, type ResidualBlock } from './blocks.js';
import { Stage } from './stage.js';
import { BasicStem } from './stem.js';

/** Blocks per stage (He et al. 2015, table 1). */
const BLOCKS_PER_STAGE: Readonly<Record<number, readonly number[]>> = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
};

export interface ResNetOptions {
  readonly depth: 18 | 34 | 50 | 101 | 152;
  readonly stemChannels: number;
  readonly res2Channels: number;
  readonly groups: number;
  readonly widthPerGroup: number;
  readonly strideIn1x1: boolean;
  readonly norm: string;
  /** 2: res5 keeps the stride of res4 and looks twice as wide (DC5). */
  readonly res5Dilation: 1 | 2;
  /** Whether the 3x3 convolutions of res2, res3, ... are deformable, and how. */
  readonly deform: { readonly stages: readonly boolean[]; readonly modulated: boolean; readonly deformableGroups: number };
  /** Stages to give out: any of res2 .. res5. */
  readonly outFeatures: readonly string[];
  /** 0: nothing, 1: stem, 2: stem and res2, ... */
  readonly freezeAt: number;
  /** Where the stem's max-pool is padded; on both sides unless given. */
  readonly stemPoolPadding?: 'both' | 'end';
}

/** ResNet (He et al. 2015) and ResNeXt (Xie et al. 2016), stages res2 to res5. */
export class ResNet extends Backbone {
  readonly outShapes: FeatureShapes = {};
  readonly sizeDivisibility = 0;
  private readonly stem: BasicStem;
  private readonly stages: { name: string; stage: Stage }[] = [];

  constructor(private readonly options: ResNetOptions) {
    super();
    const { depth, norm, groups, strideIn1x1, freezeAt, outFeatures, deform } = options;
    this.stem = this.child(
      'stem',
      new BasicStem({ outChannels: options.stemChannels, norm, poolPadding: options.stemPoolPadding ?? 'both' }),
    );
    if (freezeAt >= 1) this.stem.freeze();
    let inChannels = options.stemChannels;
    let stride = 4;
    const last = Math.max(...outFeatures.map((name) => Number(name.slice(3))));
    for (let index = 2; index <= last; index++) {
      const outChannels = options.res2Channels << (index - 2);
      const bottleneckChannels = (groups * options.widthPerGroup) << (index - 2);
      const dilation = index === 5 ? options.res5Dilation : 1;
      const firstStride = index === 2 || dilation === 2 ? 1 : 2;
      stride *= firstStride;
      const blocks: ResidualBlock[] = [];
      for (let i = 0; i < BLOCKS_PER_STAGE[depth][index - 2]; i++) {
        const common = { inChannels, outChannels, stride: i === 0 ? firstStride : 1, norm };
        const bottleneck = { ...common, bottleneckChannels, groups, strideIn1x1, dilation };
        if (depth < 50) blocks.push(new BasicBlock(common));
        else if (deform.stages[index - 2]) blocks.push(new DeformBottleneckBlock({ ...bottleneck, ...deform }));
        else blocks.push(new BottleneckBlock(bottleneck));
        inChannels = outChannels;
      }
      const name = `res${index}`;
      const stage = this.child(name, new Stage(blocks));
      if (freezeAt >= index) stage.freeze();
      this.stages.push({ name, stage });
      if (outFeatures.includes(name)) this.outShapes[name] = { channels: outChannels, stride };
    }
  }

  static fromConfig(cfg: Config): ResNet {
    const { RESNETS: resnets, BACKBONE: backbone } = cfg.MODEL;
    const depth = resnets.DEPTH;
    if (!(depth in BLOCKS_PER_STAGE)) {
      throw new ConfigError(`MODEL.RESNETS.DEPTH is ${depth}; expected one of ${Object.keys(BLOCKS_PER_STAGE).join(', ')}.`);
    }
    const res5Dilation = resnets.RES5_DILATION;
    if (res5Dilation !== 1 && res5Dilation !== 2)
      throw new ConfigError(`MODEL.RESNETS.RES5_DILATION is ${res5Dilation}; expected 1 or 2.`);
    if (res5Dilation === 2 && depth < 50)
      throw new ConfigError(`MODEL.RESNETS.RES5_DILATION is 2 at DEPTH ${depth}; expected a depth of 50 or more.`);
    if (depth < 50 && resnets.DEFORM_ON_PER_STAGE.some(Boolean))
      throw new ConfigError(
        `MODEL.RESNETS.DEFORM_ON_PER_STAGE asks for deformable blocks at DEPTH ${depth}; expected 50 or more.`,
      );
    return new ResNet({
      depth: depth as ResNetOptions['depth'],
      stemChannels: resnets.STEM_OUT_CHANNELS,
      res2Channels: resnets.RES2_OUT_CHANNELS,
      groups: resnets.NUM_GROUPS,
      widthPerGroup: resnets.WIDTH_PER_GROUP,
      strideIn1x1: resnets.STRIDE_IN_1X1,
      norm: resnets.NORM,
      deform: {
        stages: resnets.DEFORM_ON_PER_STAGE,
        modulated: resnets.DEFORM_MODULATED,
        deformableGroups: resnets.DEFORM_NUM_GROUPS,
      },
      res5Dilation,
      outFeatures: resnets.OUT_FEATURES,
      freezeAt: backbone.FREEZE_AT,
      stemPoolPadding: cfg.MODEL.CONVENTIONS === 'matterport' ? 'end' : 'both',
    });
  }

  forward(x: tf.Tensor4D, trace?: (name: string, value: tf.Tensor) => void): FeatureMaps {
    return tf.tidy(() => {
      const outputs: FeatureMaps = {};
      let y = this.stem.isFrozen ? withoutTape(() => this.stem.forward(x)) : this.stem.forward(x);
      for (const { name, stage } of this.stages) {
        const input = y;
        // Frozen stages are the first ones, so nothing before them needs a gradient either.
        y = stage.isFrozen ? withoutTape(() => stage.forward(input)) : stage.forward(input);
        if (!this.options.outFeatures.includes(name)) continue;
        trace?.(`backbone.${name}`, y);
        outputs[name] = y;
      }
      return outputs;
    });
  }
}
