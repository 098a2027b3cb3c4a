import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCheckpoint } from '../../../src/checkpoint/load.js';
import { readCheckpoint } from '../../../src/checkpoint/read.js';
import { getConfig, untrainableSettings, type Config } from '../../../src/config/index.js';
import { readImage } from '../../../src/data/image_io/read_image.js';
import { readSemanticLabels } from '../../../src/data/image_io/read_semantic_labels.js';
import { buildModel } from '../../../src/meta_arch/build_model.js';
import type { MetaArchitecture } from '../../../src/meta_arch/meta_architecture.js';
import type { TrainingSample } from '../../../src/structures/training_sample.js';
import { Unsupported } from '../unsupported.js';

interface Annotation {
  bbox_xyxy: number[];
  gt_class: number;
  segmentation?: number[][];
  keypoints?: number[][];
}

export interface TrainingStep {
  iter: number;
  lr: number;
  losses: Record<string, number>;
  grad_norm_all: number;
}

/** The part `train` of a golden manifest. */
export interface TrainManifest {
  config: string;
  images: { file: string; height: number; width: number; annotations: Annotation[]; sem_seg_file?: string }[];
  losses: Record<string, number>;
  grad_l2_norms_iter0: Record<string, number>;
  frozen_parameters: string[];
  steps: TrainingStep[];
}

/** A model with the weights of a golden folder, unfolded, and the batch that it was trained on. */
export interface TrainingCase {
  readonly cfg: Config;
  readonly model: MetaArchitecture;
  readonly samples: TrainingSample[];
  readonly train: TrainManifest;
}

/**
 * @param overrides `KEY=VALUE` over the case's config: another model that the weights and the batch go with
 * @throws Unsupported for a model that cannot be trained yet
 */
export async function openTraining(folder: string, overrides: readonly string[] = []): Promise<TrainingCase> {
  const { train } = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as { train: TrainManifest };
  const cfg = getConfig(join(folder, train.config), overrides);
  const [untrainable] = untrainableSettings(cfg);
  if (untrainable) throw new Unsupported(`not trained yet: ${untrainable}`);
  const model = buildModel(cfg);
  const weights = readdirSync(folder).find((entry) => entry.startsWith('model_final.'))!;
  loadCheckpoint(await readCheckpoint(join(folder, weights)), model.modelParameters());
  const samples = await Promise.all(train.images.map((image, i) => sample(folder, image, i, cfg)));
  return { cfg, model, samples, train };
}

async function sample(
  folder: string,
  { file, annotations, sem_seg_file }: TrainManifest['images'][number],
  imageId: number,
  cfg: Config,
): Promise<TrainingSample> {
  const { data, height, width } = await readImage(join(folder, file), { format: cfg.INPUT.FORMAT as 'BGR' | 'RGB' });
  const groundTruth = {
    boxes: Float32Array.from(annotations.flatMap(({ bbox_xyxy }) => bbox_xyxy)),
    classes: Int32Array.from(annotations, ({ gt_class }) => gt_class),
    masks: annotations.map(({ segmentation }) => ({
      kind: 'polygons' as const,
      polygons: (segmentation ?? []).map((polygon) => Float64Array.from(polygon)),
    })),
    ...(cfg.MODEL.KEYPOINT_ON ? { keypoints: Float32Array.from(annotations.flatMap(({ keypoints }) => keypoints!.flat())) } : {}),
  };
  const semantic = sem_seg_file === undefined ? {} : { semantic: (await readSemanticLabels(join(folder, sem_seg_file))).data };
  return { data, height, width, imageId, fileName: file, groundTruth, ...semantic };
}
