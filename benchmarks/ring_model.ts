/** What was measured on one machine, for a batch that grows with the machines. */
export interface OneMachine {
  /** A step without communication. */
  readonly computeMs: number;
  /** The gradients from the device to the host and their sums back. */
  readonly copiesMs: number;
  /** Of all gradients. */
  readonly bytes: number;
  /** Calls that the gradients are summed in. */
  readonly buckets: number;
  /** Traffic of memory, as a copy makes it: reads and writes. */
  readonly memoryBytesPerSecond: number;
}

export interface Network {
  readonly bitsPerSecond: number;
  /** Of a message. */
  readonly latencySeconds: number;
  /** What is reached of the bits per second. */
  readonly reached: number;
}

/** Calls of a step that carry a few numbers: the largest picture, rows of the losses, the losses, whether to stop. */
const SMALL_CALLS = 4;

/**
 * Time of a step on n machines of one process each, whose gradients go round a ring (reduce-scatter, then all-gather): every machine sends and receives
 * 2 (n - 1) / n of them in 2 (n - 1) messages a bucket, and adds (n - 1) / n of them, each sum being two reads and a write. Nothing overlaps with
 * the computing, and all machines are equally fast.
 */
export function ringStep(machine: OneMachine, network: Network, n: number): { stepMs: number; communicationMs: number } {
  const { bytes, buckets } = machine;
  const transfer = (((2 * (n - 1)) / n) * bytes * 8) / (network.bitsPerSecond * network.reached);
  // Small calls go up and down a tree.
  const messages = 2 * (n - 1) * buckets + 2 * Math.ceil(Math.log2(n)) * SMALL_CALLS;
  const adding = (((n - 1) / n) * 3 * bytes) / machine.memoryBytesPerSecond;
  const communicationMs = (transfer + messages * network.latencySeconds + adding) * 1000 + (n > 1 ? machine.copiesMs : 0);
  return { stepMs: machine.computeMs + communicationMs, communicationMs };
}

/** The part of the computing in which gradients become final one after another: a backward pass takes about twice as long as a forward pass. */
const BACKWARD_SHARE = 2 / 3;

/**
 * The same with sums that go on while the backward pass computes: what is sent hides behind it but for the last bucket, whose gradients are the last to be
 * computed. Copies from the device and back take the computing thread's time and stay.
 */
export function overlappedStep(machine: OneMachine, network: Network, n: number): { stepMs: number; hiddenMs: number } {
  const { stepMs, communicationMs } = ringStep(machine, network, n);
  const sending = communicationMs - (n > 1 ? machine.copiesMs : 0);
  const hiddenMs = Math.min(sending * (1 - 1 / machine.buckets), BACKWARD_SHARE * machine.computeMs);
  return { stepMs: stepMs - hiddenMs, hiddenMs };
}

/**
 * The least time in which n processes of one machine can sum arrays through its memory: each reads its n-th of all n arrays and writes the sum, then
 * reads and writes the sums of the others.
 */
export function sumBoundMs(bytes: number, n: number, memoryBytesPerSecond: number): number {
  const each = bytes * (1 + 1 / n + (2 * (n - 1)) / n);
  return n < 2 ? 0 : ((n * each) / memoryBytesPerSecond) * 1000;
}
