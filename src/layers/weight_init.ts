import type { ModelParameter } from './module.js';

/** How Detectron2 fills a weight before training: `msra` is He's normal over the fan out, `xavier` Caffe2's uniform over the fan in. */
export type WeightInit =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'msra' }
  | { readonly kind: 'xavier' }
  | { readonly kind: 'normal'; readonly std: number };

export const ZEROS: WeightInit = { kind: 'constant', value: 0 };
export const ONES: WeightInit = { kind: 'constant', value: 1 };

/**
 * Fills every weight as Detectron2 does before training from scratch.
 * @param random uniform numbers in [0, 1), from a seeded generator
 */
export function initializeWeights(parameters: readonly ModelParameter[], random: () => number): void {
  for (const parameter of parameters) {
    const size = parameter.shape.reduce((a, b) => a * b, 1);
    const values = new Float32Array(size);
    const field = parameter.shape.slice(2).reduce((a, b) => a * b, 1);
    const { init } = parameter;
    switch (init.kind) {
      case 'constant':
        values.fill(init.value);
        break;
      case 'xavier': {
        const bound = Math.sqrt(3 / (parameter.shape[1] * field));
        for (let i = 0; i < size; i++) values[i] = (2 * random() - 1) * bound;
        break;
      }
      case 'msra':
      case 'normal': {
        const std = init.kind === 'normal' ? init.std : Math.sqrt(2 / (parameter.shape[0] * field));
        for (let i = 0; i < size; i++) values[i] = std * normal(random);
        break;
      }
      default:
        init satisfies never;
    }
    parameter.set(values);
  }
}

/** One standard normal number by the method of Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
