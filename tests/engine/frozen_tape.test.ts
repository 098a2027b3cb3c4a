import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Tape } from '../../src/autodiff/tape.js';
import { parseConfig } from '../../src/config/index.js';
import { Random } from '../../src/data/random.js';
import { lossGradients } from '../../src/engine/loss_gradients.js';
import { giveStartWeights } from '../../src/engine/start_weights.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';
import { SMALLEST_CONFIG } from '../cli/tiny_data.js';
import { useDevice } from '../ops/devices.js';
import '../../src/backends/wasm.js';

interface RecordedTape {
  readonly nodes: readonly {
    readonly kernelName: string;
    readonly inputs: Record<string, tf.Tensor>;
    readonly outputs: readonly tf.Tensor[];
  }[];
}

const sample: TrainingSample = {
  data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 31) % 251),
  height: 64,
  width: 64,
  imageId: 1,
  fileName: '1.png',
  groundTruth: {
    boxes: Float32Array.of(8, 8, 40, 40),
    classes: Int32Array.of(0),
    masks: [{ kind: 'polygons', polygons: [Float64Array.of(8, 8, 40, 8, 40, 40, 8, 40)] }],
  },
};

/** One forward and backward pass. @returns the sizes of the maps on the tape, the weights that it reads, and the tensors held at its end */
async function pass(freezeAt: number) {
  // Channels by which the maps of the backbone are told from those of the pyramid, which has 8.
  const wide = SMALLEST_CONFIG.replace('RES2_OUT_CHANNELS: 8', 'RES2_OUT_CHANNELS: 16');
  const { config } = parseConfig(wide, 'smallest.yaml', [
    `MODEL.BACKBONE.FREEZE_AT=${freezeAt}`,
    'MODEL.ROI_HEADS.NUM_CLASSES=2',
  ]);
  const model = buildModel(config);
  giveStartWeights(model.modelParameters(), undefined, new Random(1));
  const before = tf.memory().numTensors;
  let maps: string[] = [];
  let read = new Set<number>();
  let held = 0;
  const gradients = vi.spyOn(Tape.prototype, 'gradients').mockImplementationOnce(function (this: Tape, ...args) {
    const { nodes } = this as unknown as RecordedTape;
    // Through a scope and a padding of nothing res3 reads the map of res2: these are of res3.
    const computed = nodes.filter(({ kernelName }) => kernelName !== 'unnamed scope' && kernelName !== 'pad__op');
    maps = computed.flatMap(({ outputs }) => outputs.map(({ shape }) => shape.slice(1).join()));
    read = new Set(nodes.flatMap(({ inputs }) => Object.values(inputs).map(({ id }) => id)));
    held = tf.memory().numTensors - before;
    gradients.mockRestore();
    return this.gradients(...args);
  });
  const found = await lossGradients(model, [sample], new Random(2));
  const frozen = model.modelParameters().filter(({ name }) => /bottom_up\.(stem|res2)\./.test(name));
  const readFrozen = frozen.filter(({ variable }) => read.has(variable.id)).map(({ name }) => name);
  const names = [...found.gradients.keys()];
  tf.dispose([...found.gradients.values()]);
  const left = tf.memory().numTensors - before;
  model.dispose();
  return { maps, readFrozen, held, left, names, losses: found.losses };
}

describe('frozen stages', () => {
  beforeAll(() => useDevice('wasm'));
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('leave nothing on the tape: neither maps nor weights of stem and res2', async () => {
    const free = await pass(0);
    const frozen = await pass(2);
    const stem = '32,32,8';
    const res2 = '16,16,16';
    // So it is seen where it is there.
    expect(free.maps).toEqual(expect.arrayContaining([stem, res2]));
    expect(free.readFrozen.length).toBeGreaterThan(0);
    expect(free.names.some((name) => name.startsWith('backbone.bottom_up.stem'))).toBe(true);
    expect(frozen.maps.filter((shape) => shape === stem || shape === res2)).toEqual([]);
    expect(frozen.readFrozen).toEqual([]);
    expect(frozen.names.filter((name) => /bottom_up\.(stem|res2)/.test(name))).toEqual([]);
    // The five convolutions of stem and res2 hold their outputs, norms and sums for the backward pass no more.
    expect(free.held - frozen.held).toBeGreaterThanOrEqual(5);
    expect(free.left).toBe(0);
    expect(frozen.left).toBe(0);
    // What is frozen computes the same.
    for (const [name, loss] of Object.entries(frozen.losses))
      expect(Math.abs(loss - free.losses[name]!), name).toBeLessThan(1e-5);
  });
});
