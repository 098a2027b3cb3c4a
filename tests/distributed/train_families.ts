// Steps of every family of models on a batch of two pictures: one process has both, two have one each. Rank 0 writes losses and weights, by family.
import { writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { registerMnc } from '../../projects/mnc/mnc_heads.js';
import { startBackend } from '../../src/backends/select.js';
import { parseConfig } from '../../src/config/index.js';
import { Random } from '../../src/data/random.js';
import { DataParallel } from '../../src/distributed/data_parallel.js';
import { indivisibleSettings } from '../../src/distributed/indivisible.js';
import { mpiLaunch } from '../../src/distributed/launch.js';
import { World } from '../../src/distributed/world.js';
import { optimizerFromConfig } from '../../src/engine/solver/optimizer.js';
import { initializeWeights } from '../../src/layers/weight_init.js';
import { buildModel } from '../../src/meta_arch/build_model.js';
import type { TrainingSample } from '../../src/structures/training_sample.js';
import { SMALLEST_CONFIG } from '../cli/tiny_data.js';

export interface FamilyResult {
  losses: Record<string, number>[];
  /** What rank 0 has in the end: weights, running statistics. */
  weights: Record<string, number[]>;
  /** Whether all processes have the same. */
  agree: boolean;
}

const SEMANTIC = ['MODEL.SEM_SEG_HEAD.NUM_CLASSES=3', 'MODEL.SEM_SEG_HEAD.CONVS_DIM=8', 'MODEL.SEM_SEG_HEAD.NORM='];
const FAMILIES: Record<string, string[]> = {
  cascade: ['MODEL.ROI_HEADS.NAME=CascadeROIHeads', 'MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG=True'],
  mnc: ['MODEL.ROI_HEADS.NAME=MNCHeads', 'MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION=14'],
  keypoint: [
    'MODEL.MASK_ON=False',
    'MODEL.KEYPOINT_ON=True',
    'MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS=2',
    'MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS=(8,)',
    'MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION=7',
  ],
  panoptic: ['MODEL.META_ARCHITECTURE=PanopticFPN', 'MODEL.PANOPTIC_FPN.INSTANCE_LOSS_WEIGHT=0.5', ...SEMANTIC],
  proposals: ['MODEL.META_ARCHITECTURE=ProposalNetwork'],
  semantic: ['MODEL.META_ARCHITECTURE=SemanticSegmentor', ...SEMANTIC],
  retinanet: [
    'MODEL.META_ARCHITECTURE=RetinaNet',
    'MODEL.BACKBONE.NAME=build_retinanet_resnet_fpn_backbone',
    "MODEL.RESNETS.OUT_FEATURES=('res3','res4','res5')",
    "MODEL.FPN.IN_FEATURES=('res3','res4','res5')",
    'MODEL.RETINANET.NUM_CLASSES=2',
    'MODEL.RETINANET.NUM_CONVS=1',
  ],
  batch_norm: ['MODEL.RESNETS.NORM=BN'],
  sync_batch_norm: [
    'MODEL.META_ARCHITECTURE=PanopticFPN',
    ...SEMANTIC.filter((key) => !key.includes('NORM')),
    ...['RESNETS', 'FPN', 'SEM_SEG_HEAD'].map((part) => `MODEL.${part}.NORM=SyncBN`),
  ],
};
FAMILIES.keypoint_per_image = [...FAMILIES.keypoint!, 'MODEL.ROI_KEYPOINT_HEAD.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS=False'];
/** After one step the statistics of the first layer are still those of the first weights. */
const steps = (family: string): number => (family === 'batch_norm' ? 1 : 4);

/** Noise with boxes: three in the first picture, one in the second, which is larger. */
function picture(index: number): TrainingSample {
  const [height, width] = [
    [64, 64],
    [64, 96],
  ][index] as [number, number];
  const random = new Random(index);
  const draw = random.permutation(height * width * 3);
  const boxes = [
    [4, 6, 30, 32],
    [20, 10, 60, 50],
    [36, 40, 52, 60],
  ].slice(0, index === 0 ? 3 : 1);
  const bitmaps = boxes.map(([x0, y0, x1, y1]) => {
    const bitmap = new Uint8Array(height * width);
    for (let y = y0!; y < y1!; y++) bitmap.fill(1, y * width + x0!, y * width + x1!);
    return { kind: 'bitmap' as const, bitmap };
  });
  const points = boxes.flatMap(([x0, y0, x1, y1], i) => [x0! + 3, y0! + 4, 2, x1! - 3, y1! - 5, i === 0 ? 2 : 0]);
  return {
    data: Uint8Array.from(draw, (value) => value % 256),
    height,
    width,
    imageId: index,
    fileName: `${index}.png`,
    groundTruth: {
      boxes: Float32Array.from(boxes.flat()),
      classes: Int32Array.from(boxes, (_, i) => i % 2),
      masks: bitmaps,
      keypoints: Float32Array.from(points),
    },
    // The pixels that count are not as many in both.
    semantic: Uint8Array.from({ length: height * width }, (_, i) => (index === 0 && i % 3 === 0 ? 255 : (i >> 4) % 3)),
  };
}

const launch = mpiLaunch()!;
const world = await World.join(launch, (line) => process.stderr.write(`${line}\n`));
try {
  const { communicator } = world;
  const { rank, size } = communicator;
  registerMnc();
  await startBackend('wasm');
  const samples = [picture(0), picture(1)].slice((rank * 2) / size, ((rank + 1) * 2) / size);
  const results: Record<string, FamilyResult> = {};
  for (const [family, overrides] of Object.entries(FAMILIES)) {
    const keys = ['MODEL.ROI_HEADS.NUM_CLASSES=2', 'SOLVER.BASE_LR=0.01', 'MODEL.PIXEL_STD=(60.0,60.0,60.0)', ...overrides];
    const { config } = parseConfig(SMALLEST_CONFIG, 'smallest.yaml', keys);
    const model = buildModel(config);
    const reasons = indivisibleSettings(config, model);
    if (reasons.length > 0) throw new Error(reasons.join(' '));
    const parameters = model.modelParameters();
    const random = new Random(3);
    initializeWeights(parameters, () => random.next());
    const optimizer = optimizerFromConfig(config, parameters);
    const parallel = new DataParallel(communicator);
    parallel.synchronise(model);
    const losses: Record<string, number>[] = [];
    for (let step = 0; step < steps(family); step++) {
      const found = await parallel.loss(model, samples, new Random(5).fork(step));
      const sum = parallel.sum(parallel.shareOf(found.losses), found.gradients);
      losses.push(sum.losses);
      optimizer.step(sum.gradients, 1);
      tf.dispose([...sum.gradients.values()]);
      parallel.settle(model);
    }
    const weights: Record<string, number[]> = {};
    for (const parameter of parameters)
      if (parameter.trainable || parameter.name.includes('.running_')) weights[parameter.name] = [...(await parameter.get())];
    const all = communicator.gather(new TextEncoder().encode(JSON.stringify(weights)));
    results[family] = { losses, weights, agree: all.every((theirs) => Buffer.compare(theirs, all[0]!) === 0) };
    optimizer.dispose();
    model.dispose();
  }
  if (rank === 0) writeFileSync(process.argv[2]!, JSON.stringify(results));
  await world.leave();
} catch (error) {
  await world.fail(error);
  throw error;
}
