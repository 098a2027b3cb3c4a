import { describe, expect, it } from 'vitest';
import { overlappedStep, ringStep, sumBoundMs } from '../../benchmarks/ring_model.js';

const machine = { computeMs: 900, copiesMs: 50, bytes: 100e6, buckets: 10, memoryBytesPerSecond: 10e9 };
const network = { bitsPerSecond: 10e9, latencySeconds: 1e-4, reached: 0.8 };

describe('ringStep', () => {
  it('adds what is sent, what the messages wait, what is added and what is copied', () => {
    // 4 machines: 1.5 of 100 MB at 1 GB/s, 150 ms; 6 messages for each of 10 buckets and 2 x 2 for each of 4 small calls, 7.6 ms; three quarters of
    // 100 MB, each read twice and written once, 22.5 ms; copies, 50 ms.
    expect(ringStep(machine, network, 4).communicationMs).toBeCloseTo(150 + 7.6 + 22.5 + 50, 9);
    expect(ringStep(machine, network, 4).stepMs).toBeCloseTo(1130.1, 9);
  });

  it('knows that one machine sends nothing', () => {
    expect(ringStep(machine, network, 1)).toEqual({ stepMs: 900, communicationMs: 0 });
  });
});

describe('overlappedStep', () => {
  it('hides what is sent, but for the last of the buckets', () => {
    // Of 180.1 ms in ten buckets nine tenths.
    expect(overlappedStep(machine, network, 4).hiddenMs).toBeCloseTo(162.09, 9);
    expect(overlappedStep(machine, network, 4).stepMs).toBeCloseTo(1130.1 - 162.09, 9);
  });

  it('hides no more than the backward pass is long', () => {
    const fast = { ...machine, computeMs: 90 };
    expect(overlappedStep(fast, network, 4)).toEqual({ stepMs: 320.1 - 60, hiddenMs: 60 });
    expect(overlappedStep(machine, network, 1)).toEqual({ stepMs: 900, hiddenMs: 0 });
  });
});

describe('sumBoundMs', () => {
  it('counts what has to go through memory', () => {
    // Two processes: each reads half of both arrays and writes the sum of them, then reads and writes the other half: 2.5 of 100 MB.
    expect(sumBoundMs(100e6, 2, 10e9)).toBeCloseTo(50, 9);
    expect(sumBoundMs(100e6, 4, 10e9)).toBeCloseTo(4 * 27.5, 9);
    expect(sumBoundMs(100e6, 1, 10e9)).toBe(0);
  });
});
