import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/data/random.js';
import { Predictor } from '../../src/index.js';
import { readBacks } from '../../src/ops/read_back.js';

const here = process.env.MASKRCNN_TEST_DEVICES?.split(',').includes('webgpu') === true;
const reason = here ? '' : ' (skipped: `npm run test:webgpu` runs it, with a Vulkan driver)';

const compiled = (): string[] => Object.keys((tf.backend() as unknown as { pipelineCache: object }).pipelineCache);

describe.skipIf(!here)(`the warm-up on webgpu${reason}`, () => {
  it('compiles all: pictures of other sizes, with other numbers of instances, compile nothing, and read back twice', async () => {
    // Small, with few regions: a software driver is slow.
    const overrides = [
      'INPUT.MIN_SIZE_TEST=64',
      'INPUT.MAX_SIZE_TEST=96',
      'MODEL.RPN.PRE_NMS_TOPK_TEST=60',
      'MODEL.RPN.POST_NMS_TOPK_TEST=40',
    ];
    const predictor = await Predictor.load('tests/fixtures/mask_rcnn_R_18_FPN/model', {
      device: 'webgpu',
      overrides: [...overrides, 'TEST.DETECTIONS_PER_IMAGE=12', 'MODEL.ROI_HEADS.SCORE_THRESH_TEST=0.3'],
    });
    await predictor.warmUp();
    const warm = compiled();
    // One program for each source: sizes that happen to be equal make no second one.
    const names = warm.map((key) => /^maskrcnn_[a-zA-Z]+/.exec(key)?.[0]).filter((name) => name !== undefined);
    expect(names.length).toBe(new Set(names).size);
    expect(warm.length).toBeGreaterThan(20);
    const { numTensors } = tf.memory();
    const random = new Random(1);
    const counts = new Set<number>();
    for (const [width, height, shapes] of [
      [200, 150, 3],
      [120, 160, 0],
      [300, 90, 1],
    ]) {
      // Discs in strong colours on a plain ground.
      const data = new Uint8Array(width * height * 3).fill(230);
      for (let shape = 0; shape < shapes; shape++) {
        const [x, y] = [random.uniform(20, width - 20), random.uniform(20, height - 20)];
        const colour = [random.uniform(0, 255), random.uniform(0, 255), random.uniform(0, 255)];
        for (let i = 0; i < width * height; i++)
          if (Math.hypot((i % width) - x, Math.floor(i / width) - y) < 18) data.set(colour, 3 * i);
      }
      const reads = readBacks.count;
      counts.add((await predictor.predict({ data, width, height })).length);
      expect(readBacks.count - reads).toBe(2);
      expect(compiled().filter((key) => !warm.includes(key))).toEqual([]);
    }
    expect(counts.size).toBeGreaterThan(1);
    expect(tf.memory().numTensors).toBe(numTensors);
    predictor.dispose();
  });
});
