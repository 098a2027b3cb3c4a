import type * as tf from '@tensorflow/tfjs-core';
import { Module } from './module.js';

/** Modules side by side, named 0, 1, 2, ... as PyTorch's `ModuleList` names them. */
export class ModuleList<M extends Module> extends Module {
  constructor(readonly items: readonly M[]) {
    super();
    items.forEach((item, i) => this.child(String(i), item));
  }

  /** A list computes nothing; its items do. */
  override call(): tf.Tensor {
    throw new Error('ModuleList is not called; call its items.');
  }
}
