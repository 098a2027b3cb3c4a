import { ArgumentError } from '../../errors.js';
import type { Sampler } from './sampler.js';

/** One turn of a picture: `position` counts all turns from the start of training and is never the same twice. */
export interface Draw {
  readonly index: number;
  readonly position: number;
}

/** Where a stream of batches stands; plain JSON. */
export interface BatchState {
  readonly epoch: number;
  /** Pictures drawn of that epoch. */
  readonly offset: number;
  /** Pictures drawn in all. */
  readonly position: number;
  /** Drawn, and waiting for a batch of their group. */
  readonly waiting: readonly (readonly Draw[])[];
}

/**
 * Puts a sampler's pictures into batches, forever. With sides given, upright and lying pictures go into different batches, so that padding
 * is small (Detectron2's `AspectRatioGroupedDataset`): a picture waits until its group fills a batch.
 */
export class BatchStream {
  private current: Int32Array | undefined;
  private epoch: number;
  private offset: number;
  private position: number;
  private readonly waiting: Draw[][];

  /**
   * @param sides [pictures] width and height; left out: batches in the sampler's order
   * @param state where an earlier stream stood
   */
  constructor(
    private readonly sampler: Sampler,
    private readonly batchSize: number,
    private readonly sides?: readonly { readonly width: number; readonly height: number }[],
    state: BatchState = { epoch: 0, offset: 0, position: 0, waiting: [] },
  ) {
    if (!(Number.isInteger(batchSize) && batchSize > 0))
      throw new ArgumentError(`A batch needs at least one picture, not ${batchSize}.`);
    ({ epoch: this.epoch, offset: this.offset, position: this.position } = state);
    this.waiting = [0, 1].map((group) => [...(state.waiting[group] ?? [])]);
  }

  get state(): BatchState {
    return {
      epoch: this.epoch,
      offset: this.offset,
      position: this.position,
      waiting: this.waiting.map((group) => [...group]),
    };
  }

  next(): Draw[] {
    for (;;) {
      const index = this.nextIndex();
      const side = this.sides?.[index];
      const group = this.waiting[side && !(side.width > side.height) ? 1 : 0];
      group.push({ index, position: this.position++ });
      if (group.length >= this.batchSize) return group.splice(0, this.batchSize);
    }
  }

  private nextIndex(): number {
    this.current ??= this.sampler.epoch(this.epoch);
    for (let empty = 0; this.offset >= this.current.length; empty++) {
      if (empty > 0) throw new ArgumentError('The sampler gives no more pictures.');
      this.current = this.sampler.epoch(++this.epoch);
      this.offset = 0;
    }
    return this.current[this.offset++];
  }
}
