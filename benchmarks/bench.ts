import type { PeerName } from './peer.js';

/** A benchmark: the same inputs go to our code and to the peers. */
export interface Bench {
  name: string;
  /** What is measured, in words. */
  input: string;
  peers: PeerName[];
  /** False: the peers' first run counts; where it takes minutes and nothing in it warms up. */
  warmPeers?: boolean;
  inputs: Record<string, { shape: number[]; data: Float32Array | Uint8Array }>;
  options: Record<string, unknown>;
  /** Floating point operations of one run, where they are worth a rate. */
  flops?: number;
  /** Work outside of the timing; returns one run of ours, which may report figures, and, where we are our own peer, one of the other way. */
  prepare(): Promise<{
    run(): Promise<Record<string, number> | void>;
    baseline?: { description: string; run(): Promise<void> };
    dispose(): void;
  }>;
}
