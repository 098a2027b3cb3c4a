import * as tf from '@tensorflow/tfjs-core';

/** One recorded operation, as the engine of TensorFlow.js writes it. */
interface TapeNode {
  readonly kernelName: string;
  readonly inputs: Record<string, tf.Tensor>;
  readonly outputs: tf.Tensor[];
  readonly saved: tf.Tensor[];
  /** Missing where the operation has no gradient. */
  readonly gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
}

/** The part of the engine's state that decides whether and where operations are recorded. */
interface RecordingState {
  activeTape: TapeNode[] | null | undefined;
  gradientDepth: number;
}

const recordingState = (): RecordingState => tf.engine().state as unknown as RecordingState;

/**
 * A gradient tape that can be put aside: operations are recorded only inside `record`, so the caller may await values from the device between
 * two parts of a model, and whatever else runs meanwhile is neither recorded nor disposed of. `tf.grads` must do all in one synchronous call.
 *
 * The backward pass gives up every saved activation and every inner gradient as soon as nothing needs it any more.
 */
export class Tape {
  private nodes: TapeNode[] = [];

  /** Runs a synchronous part of the computation and records it. */
  record<T>(part: () => T): T {
    const state = recordingState();
    const { activeTape, gradientDepth } = state;
    state.activeTape = this.nodes;
    state.gradientDepth = 1;
    try {
      return part();
    } finally {
      state.activeTape = activeTape;
      state.gradientDepth = gradientDepth;
    }
  }

  /**
   * The gradients of a recorded scalar; the tape is used up.
   * @param xs      tensors that it may depend on
   * @param onFinal called with the place of each of them and its gradient, as soon as nothing is added to it any more; it is for looking at
   * @returns  in the order of `xs`, undefined where it does not; the caller disposes of them
   */
  gradients(
    y: tf.Scalar,
    xs: readonly tf.Tensor[],
    onFinal?: (place: number, gradient: tf.Tensor | undefined) => void,
  ): (tf.Tensor | undefined)[] {
    const wanted = new Set(xs.map(({ id }) => id));
    const nodes = this.nodes;
    this.nodes = [];
    const dependsOnXs = reachedFrom(nodes, wanted);
    const gradients = new Map<number, tf.Tensor>();
    const lastAdded = onFinal ? placesByFirstUse(nodes, xs) : undefined;
    const tell = (node: number) => lastAdded?.get(node)?.forEach((place) => onFinal!(place, gradients.get(xs[place].id)));
    try {
      tell(-1);
      if (dependsOnXs.has(y.id)) gradients.set(y.id, tf.onesLike(y));
      for (let i = nodes.length - 1; i >= 0; i--) {
        propagate(nodes[i], gradients, dependsOnXs);
        release(nodes[i]);
        for (const { id } of nodes[i].outputs) if (!wanted.has(id)) drop(gradients, id);
        tell(i);
      }
      const results = xs.map(({ id }) => gradients.get(id));
      for (const { id } of xs) gradients.delete(id);
      return results;
    } finally {
      nodes.forEach(release);
      tf.dispose([...gradients.values()]);
    }
  }

  /** Gives up what was recorded, where no gradient will be asked for. */
  dispose(): void {
    this.nodes.forEach(release);
    this.nodes = [];
  }
}

/** Whether operations are recorded for a gradient at the moment: by a `Tape`, or inside `tf.grads` and its like. */
export function isRecording(): boolean {
  return recordingState().gradientDepth > 0;
}

/** Runs a part that needs no gradient inside a recorded one: nothing of it is kept for the backward pass. */
export function withoutTape<T extends tf.TensorContainer>(part: () => T): T {
  const state = recordingState();
  const { gradientDepth } = state;
  state.gradientDepth = 0;
  try {
    return tf.tidy(part);
  } finally {
    state.gradientDepth = gradientDepth;
  }
}

/** Places in `xs` by the first operation that takes the tensor: the last that adds to its gradient. -1 for those that none takes. */
function placesByFirstUse(nodes: readonly TapeNode[], xs: readonly tf.Tensor[]): Map<number, number[]> {
  const firstUse = new Map<number, number>();
  for (let i = nodes.length - 1; i >= 0; i--) for (const { id } of Object.values(nodes[i].inputs)) firstUse.set(id, i);
  const places = new Map<number, number[]>();
  xs.forEach(({ id }, place) => {
    const node = firstUse.get(id) ?? -1;
    places.set(node, [...(places.get(node) ?? []), place]);
  });
  return places;
}

/** Ids of all tensors that are functions of the given ones. */
function reachedFrom(nodes: readonly TapeNode[], ids: ReadonlySet<number>): Set<number> {
  const reached = new Set(ids);
  for (const { inputs, outputs } of nodes) {
    if (Object.values(inputs).some(({ id }) => reached.has(id))) for (const { id } of outputs) reached.add(id);
  }
  return reached;
}

/** Adds the node's share to the gradients of its inputs. */
function propagate(node: TapeNode, gradients: Map<number, tf.Tensor>, dependsOnXs: ReadonlySet<number>): void {
  const inputs = Object.entries(node.inputs).filter(([, { id }]) => dependsOnXs.has(id));
  const dys = node.outputs.map(({ id }) => gradients.get(id) ?? null);
  if (inputs.length === 0 || dys.every((dy) => dy === null)) return;
  const { gradient } = node;
  if (!gradient) throw new Error(`The operation ${node.kernelName} has no gradient.`);
  const shares = tf.tidy(() => {
    const thunks = gradient(dys);
    return inputs.map(([name]) => thunks[name]());
  });
  inputs.forEach(([, { id }], i) => {
    // An operation may hand its dy through, or one tensor to two inputs; each entry of the map is disposed of by itself.
    const isShared = dys.includes(shares[i]) || shares.indexOf(shares[i]) < i;
    const share = isShared ? tf.clone(shares[i]) : shares[i];
    const before = gradients.get(id);
    gradients.set(id, before ? tf.add(before, share) : share);
    if (before) tf.dispose([before, share]);
  });
}

function release({ saved }: TapeNode): void {
  tf.dispose(saved);
}

function drop(gradients: Map<number, tf.Tensor>, id: number): void {
  gradients.get(id)?.dispose();
  gradients.delete(id);
}
