import * as tf from '@tensorflow/tfjs-core';
import { CheckpointError } from '../../errors.js';
import type { TrainedParameter } from './trained_parameter.js';

/** Values on the host with their shape: what a checkpoint keeps of an optimiser or an average. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** A value that an optimiser keeps for every parameter, such as its velocity; zero at the start. In the layout of the variables. */
export class Slots {
  private readonly variables: Map<string, tf.Variable>;

  /** @param name the first part of the names in a checkpoint */
  constructor(
    readonly name: string,
    parameters: readonly TrainedParameter[],
  ) {
    this.variables = new Map(
      parameters.map(({ name: parameter, variable }) => {
        const zeros = tf.zeros(variable.shape);
        const slot = tf.variable(zeros, false);
        zeros.dispose();
        return [parameter, slot];
      }),
    );
  }

  /** The slot of a parameter. */
  of(parameter: TrainedParameter): tf.Variable {
    return this.variables.get(parameter.name)!;
  }

  /** Reads all slots back as `<slot>.<parameter>`, one after the other. */
  async read(into: Map<string, HostTensor>): Promise<void> {
    for (const [parameter, variable] of this.variables) {
      const values = (await variable.data()) as Float32Array;
      into.set(`${this.name}.${parameter}`, { shape: variable.shape, values: values.slice() });
    }
  }

  /** Takes the values that `read` gave. @throws CheckpointError naming a slot that is missing or of another shape; then nothing has changed */
  restore(state: ReadonlyMap<string, HostTensor>): void {
    const found = [...this.variables].map(([parameter, variable]) => {
      const name = `${this.name}.${parameter}`;
      const value = state.get(name);
      if (!value || value.shape.join() !== variable.shape.join()) {
        const what = value ? `has the shape [${value.shape.join(', ')}] instead of [${variable.shape.join(', ')}]` : 'is missing';
        throw new CheckpointError(
          `The checkpoint's optimiser state '${name}' ${what}. Resume with the configuration that wrote it, or start anew from its weights.`,
        );
      }
      return { variable, value };
    });
    for (const { variable, value } of found) {
      const tensor = tf.tensor(value.values, [...value.shape], 'float32');
      variable.assign(tensor as tf.Tensor<tf.Rank>);
      tensor.dispose();
    }
  }

  dispose(): void {
    for (const variable of this.variables.values()) variable.dispose();
    this.variables.clear();
  }
}
