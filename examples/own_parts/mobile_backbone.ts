/**
 * A backbone of one's own: inverted residuals with depthwise convolutions, as in MobileNetV2 (Sandler et al. 2018), with a feature pyramid on it.
 *
 *   MODEL.BACKBONE.NAME build_mobile_fpn_backbone
 *
 * Widths come from MODEL.RESNETS: STEM_OUT_CHANNELS, RES2_OUT_CHANNELS (doubled at every stage) and NORM.
 */
import * as tf from '@tensorflow/tfjs-core';
import {
  Backbone,
  backbones,
  Conv2d,
  type FeatureMaps,
  type FeatureShapes,
  Fpn,
  Module,
  ModuleList,
} from '../../src/registry/index.js';

export interface InvertedResidualOptions {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly stride: number;
  /** How much wider the block is inside. */
  readonly expansion: number;
  readonly norm: string;
}

/** Widens, looks around in each channel by itself, narrows; the input is added where nothing changed its shape. */
export class InvertedResidual extends Module {
  private readonly expand: Conv2d;
  private readonly depthwise: Conv2d;
  private readonly project: Conv2d;
  private readonly isResidual: boolean;

  constructor({ inChannels, outChannels, stride, expansion, norm }: InvertedResidualOptions) {
    super();
    const hidden = inChannels * expansion;
    const relu = { norm, activation: 'relu' } as const;
    this.expand = this.child('expand', new Conv2d({ inChannels, outChannels: hidden, kernelSize: 1, ...relu }));
    this.depthwise = this.child(
      'depthwise',
      new Conv2d({ inChannels: hidden, outChannels: hidden, groups: hidden, kernelSize: 3, stride, padding: 1, ...relu }),
    );
    this.project = this.child('project', new Conv2d({ inChannels: hidden, outChannels, kernelSize: 1, norm }));
    this.isResidual = stride === 1 && inChannels === outChannels;
  }

  /** @param x [N, H, W, in] @returns [N, H / stride, W / stride, out] */
  forward(x: tf.Tensor4D): tf.Tensor4D {
    return tf.tidy(() => {
      const y = this.project.forward(this.depthwise.forward(this.expand.forward(x)));
      return this.isResidual ? tf.add<tf.Tensor4D>(x, y) : y;
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return this.forward((Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D);
  }
}

export interface MobileBackboneOptions {
  readonly stemChannels: number;
  /** Of the first stage; every further stage has twice as many. */
  readonly channels: number;
  readonly norm: string;
}

/** A stem of stride 2 and four stages of two blocks: res2 to res5 at strides 4, 8, 16, 32. */
export class MobileBackbone extends Backbone {
  readonly outShapes: FeatureShapes = {};
  readonly sizeDivisibility = 32;
  private readonly stem: Conv2d;
  private readonly stages: ModuleList<InvertedResidual>[] = [];

  constructor({ stemChannels, channels, norm }: MobileBackboneOptions) {
    super();
    this.stem = this.child(
      'stem',
      new Conv2d({ inChannels: 3, outChannels: stemChannels, kernelSize: 3, stride: 2, padding: 1, norm, activation: 'relu' }),
    );
    let inChannels = stemChannels;
    for (let stage = 2; stage <= 5; stage++) {
      const outChannels = channels << (stage - 2);
      const common = { outChannels, expansion: 2, norm };
      const blocks = [
        new InvertedResidual({ ...common, inChannels, stride: 2 }),
        new InvertedResidual({ ...common, inChannels: outChannels, stride: 1 }),
      ];
      this.stages.push(this.child(`res${stage}`, new ModuleList(blocks)));
      this.outShapes[`res${stage}`] = { channels: outChannels, stride: 1 << stage };
      inChannels = outChannels;
    }
  }

  forward(x: tf.Tensor4D): FeatureMaps {
    return tf.tidy(() => {
      const maps: FeatureMaps = {};
      let y = this.stem.forward(x);
      this.stages.forEach(({ items }, i) => {
        y = items.reduce((map, block) => block.forward(map), y);
        maps[`res${i + 2}`] = y;
      });
      return maps;
    });
  }
}

/** Makes the name known; the returned function takes it back. */
export function registerMobileBackbone(): () => void {
  return backbones.register('build_mobile_fpn_backbone', (cfg) => {
    const { STEM_OUT_CHANNELS, RES2_OUT_CHANNELS, NORM } = cfg.MODEL.RESNETS;
    const options = { stemChannels: STEM_OUT_CHANNELS, channels: RES2_OUT_CHANNELS, norm: NORM };
    return Fpn.fromConfig(cfg, new MobileBackbone(options));
  });
}
