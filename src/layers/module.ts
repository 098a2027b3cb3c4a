import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers } from '@tensorflow/tfjs-layers';
import type { WeightInit } from './weight_init.js';

type LayerVariable = ReturnType<layers.Layer['addWeight']>;

/**
 * How a weight that Detectron2 stores in PyTorch's layout lies in ours: `ours` is the shape of the tensor, `stored` that of the file, and
 * `permutation[i]` names the axis of `view` (the stored values, reshaped) that becomes axis i of ours before the final reshape.
 */
export interface WeightLayout {
  readonly ours: readonly number[];
  readonly stored: readonly number[];
  readonly view: readonly number[];
  readonly permutation: readonly number[];
}

/** One weight or buffer of a model, by its Detectron2 name. */
export interface ModelParameter {
  /** Detectron2's name, such as `backbone.bottom_up.res2.0.conv1.weight`. */
  readonly name: string;
  /** The shape in Detectron2's layout: OIHW for convolutions, (out, in) for linear layers. */
  readonly shape: number[];
  /** What the optimiser may do with it: weights and biases train, `norm` marks affine weights of norms, buffers never train. */
  readonly kind: 'weight' | 'bias' | 'norm' | 'buffer';
  /** How Detectron2 fills it before training. */
  readonly init: WeightInit;
  /** The variable that holds it, in our layout. */
  readonly variable: tf.Variable;
  readonly trainable: boolean;
  /** Stores values given in Detectron2's layout. */
  set(values: Float32Array): void;
  /** Reads the values back in Detectron2's layout. */
  get(): Promise<Float32Array>;
}

interface OwnWeight {
  readonly name: string;
  readonly kind: ModelParameter['kind'];
  readonly layout: WeightLayout;
  readonly init: WeightInit;
  readonly holder: LayerVariable;
}

/** A layout that is the same in both worlds. */
export function sameLayout(shape: readonly number[]): WeightLayout {
  return { ours: shape, stored: shape, view: shape, permutation: shape.map((_, i) => i) };
}

/** The layer class without its statics: here `fromConfig` takes Detectron2's config, there a serialised layer. */
const LayerBase = layers.Layer as unknown as abstract new (args: object) => layers.Layer;

/**
 * The base of everything with weights: a `tf.layers.Layer` that owns its children and their weights by Detectron2's names, and is called eagerly
 * (`layer.apply(tensor)` or a typed method). Layers alone would not find the weights of layers that they hold.
 */
export abstract class Module extends LayerBase {
  private readonly childModules: [name: string, module: Module][] = [];
  private readonly ownWeights: OwnWeight[] = [];
  private frozen = false;

  constructor() {
    super({});
    this.built = true;
  }

  override getClassName(): string {
    return this.constructor.name;
  }

  /** Registers a child under the name that Detectron2 gives it. */
  protected child<M extends Module>(name: string, module: M): M {
    this.childModules.push([name, module]);
    return module;
  }

  /** Creates a weight; one with a random initialisation is zero until a checkpoint or `initializeWeights` fills it. */
  protected parameter(name: string, kind: ModelParameter['kind'], layout: WeightLayout, init: WeightInit): LayerVariable {
    const value = init.kind === 'constant' ? init.value : 0;
    // A constant is computed by a product with ones; zeros are only allocated, and most weights of a model wait for a checkpoint.
    const initial = value === 0 ? initializers.zeros() : initializers.constant({ value });
    const holder = this.addWeight(name, [...layout.ours], 'float32', initial, undefined, kind !== 'buffer');
    this.ownWeights.push({ name, kind, layout, init, holder });
    return holder;
  }

  /** Freezes this module and its children: their weights keep still and no tape is built for them. */
  freeze(): void {
    this.frozen = true;
    for (const [, module] of this.childModules) module.freeze();
  }

  get isFrozen(): boolean {
    return this.frozen;
  }

  /** All weights and buffers of this module and its children, depth first, by Detectron2's names. */
  modelParameters(prefix = ''): ModelParameter[] {
    const own = this.ownWeights.map((weight) => describe(`${prefix}${weight.name}`, weight, this.frozen));
    return [...own, ...this.childModules.flatMap(([name, module]) => module.modelParameters(`${prefix}${name}.`))];
  }

  /** This module and all below it, depth first. */
  modules(): Module[] {
    return [this, ...this.childModules.flatMap(([, module]) => module.modules())];
  }

  /** Folds frozen norms into the kernels, once, and gives their weights up: for inference only. */
  fold(): void {
    for (const [, module] of this.childModules) module.fold();
  }

  override get trainableWeights(): LayerVariable[] {
    const own = this.frozen ? [] : this.ownWeights.filter(({ kind }) => kind !== 'buffer').map(({ holder }) => holder);
    return [...own, ...this.childModules.flatMap(([, module]) => module.trainableWeights)];
  }

  override get nonTrainableWeights(): LayerVariable[] {
    const own = this.ownWeights.filter(({ kind }) => this.frozen || kind === 'buffer').map(({ holder }) => holder);
    return [...own, ...this.childModules.flatMap(([, module]) => module.nonTrainableWeights)];
  }

  override dispose(): { refCountAfterDispose: number; numDisposedVariables: number } {
    let numDisposedVariables = this.ownWeights.length;
    for (const { holder } of this.ownWeights) tensorOf(holder).dispose();
    this.ownWeights.length = 0;
    for (const [, module] of this.childModules) numDisposedVariables += module.dispose().numDisposedVariables;
    this.childModules.length = 0;
    return { refCountAfterDispose: 0, numDisposedVariables };
  }

  /** Gives the module's own weights up, after they were folded into something else. */
  protected disposeOwnWeights(): void {
    for (const { holder } of this.ownWeights) tensorOf(holder).dispose();
    this.ownWeights.length = 0;
  }
}

/** The tensor behind a layer's weight. */
export function tensorOf<T extends tf.Tensor = tf.Tensor>(holder: LayerVariable): T {
  return holder.read() as T;
}

function describe(name: string, weight: OwnWeight, frozen: boolean): ModelParameter {
  const { layout, holder, kind, init } = weight;
  const { ours, stored, view, permutation } = layout;
  const variable = tensorOf(holder) as tf.Variable;
  const same = permutation.every((axis, i) => axis === i);
  return {
    name,
    kind,
    init,
    shape: [...stored],
    variable,
    trainable: kind !== 'buffer' && !frozen,
    set(values) {
      const value = tf.tensor(same ? values : permute(values, view, permutation), [...ours], 'float32');
      variable.assign(value as tf.Tensor<tf.Rank>);
      value.dispose();
    },
    async get() {
      const values = (await variable.data()) as Float32Array;
      if (same) return values.slice();
      const inverse = permutation.map((_, i) => permutation.indexOf(i));
      return permute(
        values,
        permutation.map((axis) => view[axis]),
        inverse,
      );
    },
  };
}

/** Transposes a dense array of the given shape; on the host, so that no device holds a weight twice. */
function permute(values: Float32Array, shape: readonly number[], permutation: readonly number[]): Float32Array<ArrayBuffer> {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * shape[i + 1];
  const outShape = permutation.map((axis) => shape[axis]);
  const outStrides = permutation.map((axis) => strides[axis]);
  const result = new Float32Array(values.length);
  const index = new Array<number>(outShape.length).fill(0);
  const last = outShape.length - 1;
  for (let to = 0, from = 0; to < result.length;) {
    for (let i = 0, at = from; i < outShape[last]; i++, at += outStrides[last]) result[to++] = values[at];
    let axis = last - 1;
    for (; axis >= 0; axis--) {
      from += outStrides[axis];
      if (++index[axis] < outShape[axis]) break;
      from -= outStrides[axis] * outShape[axis];
      index[axis] = 0;
    }
    if (axis < 0) break;
  }
  return result;
}
