import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { type SafetensorsTensor, writeSafetensors } from '../checkpoint/safetensors.js';
import { DivergenceError } from '../errors.js';
import { readBack } from '../ops/read_back.js';
import type { MaskAnnotation, TrainingSample } from '../structures/training_sample.js';

const ADVICE =
  'Lower SOLVER.BASE_LR (0.02 goes with 16 pictures a step: 0.00125 for each picture of IMS_PER_BATCH), lengthen SOLVER.WARMUP_ITERS, or set ' +
  'SOLVER.CLIP_GRADIENTS.ENABLED=True; check these pictures with `maskrcnn dataset check`. Then go on from the last checkpoint with --resume.';

/** Losses by name, what else was measured, and the gradient of the losses' sum by parameter name; whoever gets it disposes of the gradients. */
export interface BatchGradients {
  readonly losses: Record<string, number>;
  readonly metrics: Record<string, number>;
  readonly gradients: Map<string, tf.Tensor>;
}

/** Stops a run whose losses or gradients are no numbers any more, before they reach the weights, and says which, when, on what, and what helps. */
export class DivergenceGuard {
  private readonly before: string[] = [];

  /**
   * @param folder where the batch is saved
   * @param rank of several processes that may save into one folder
   */
  constructor(
    private readonly folder?: string,
    private readonly rank?: number,
  ) {}

  /** @returns what `compute` gives, where its losses are finite @throws DivergenceError */
  async watch(
    iteration: number,
    samples: readonly TrainingSample[],
    compute: () => Promise<BatchGradients>,
  ): Promise<BatchGradients> {
    const found = await this.explain(iteration, samples, compute);
    const bad = Object.entries(found.losses).filter(([, value]) => !Number.isFinite(value));
    if (bad.length === 0) {
      const total = Object.values(found.losses).reduce((a, b) => a + b, 0);
      this.before.push(total.toPrecision(4));
      if (this.before.length > 5) this.before.shift();
      return found;
    }
    tf.dispose([...found.gradients.values()]);
    throw await this.error(iteration, samples, `${bad.map(([name, value]) => `${name} is ${value}`).join(', ')}.`);
  }

  /**
   * Looks at the norms of a step's gradients: losses may be finite where their gradients are not.
   * @param names of the gradients, in the order of the norms
   * @param norms [gradients]; read back, not disposed of
   * @param samples that the step learns from
   * @throws DivergenceError that names the weights
   */
  async checkNorms(
    iteration: number,
    samples: readonly TrainingSample[],
    names: readonly string[],
    norms: tf.Tensor1D,
  ): Promise<void> {
    const values = await readBack(norms);
    if (values.every(Number.isFinite)) return;
    const parts = [...new Set(names.map(partOf))].flatMap((part) => {
      const own = names.flatMap((name, i) => (partOf(name) === part ? [{ name, norm: values[i] }] : []));
      const bad = own.filter(({ norm }) => !Number.isFinite(norm));
      return bad.length === 0 ? [] : [`${part} (${bad.length} of ${own.length} weights: ${bad[0].name} has norm ${bad[0].norm})`];
    });
    throw await this.error(
      iteration,
      samples,
      `the losses are finite, but not the gradient of ${parts.join(', ')}. The weights are as before this step.`,
    );
  }

  /** Tells of a DivergenceError in `work` when and on what it was. */
  async explain<T>(iteration: number, samples: readonly TrainingSample[], work: () => Promise<T> | T): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof DivergenceError) throw await this.error(iteration, samples, error.message, error);
      throw error;
    }
  }

  private async error(
    iteration: number,
    samples: readonly TrainingSample[],
    what: string,
    cause?: unknown,
  ): Promise<DivergenceError> {
    const images = samples.map(({ imageId, fileName }) => `${imageId} (${fileName})`).join(', ');
    const course = this.before.length > 0 ? ` The total losses before: ${this.before.join(', ')}.` : '';
    const saved = this.folder === undefined ? '' : await this.save(this.folder, iteration, samples);
    return new DivergenceError(
      `Training diverged at iteration ${iteration}, images ${images}: ${what}${course}${saved} ${ADVICE}`,
      cause === undefined ? {} : { cause },
    );
  }

  /** A disk that is full must not take the place of what is to be told. */
  private async save(folder: string, iteration: number, samples: readonly TrainingSample[]): Promise<string> {
    const ofRank = this.rank === undefined ? '' : `_rank_${this.rank}`;
    const path = join(folder, `diverged_batch_${iteration}${ofRank}.safetensors`);
    try {
      await saveBatch(path, samples);
      return ` The batch is saved in ${path}.`;
    } catch (error) {
      return ` The batch could not be saved: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
}

/** The part of the model that a weight is of, such as `roi_heads.mask_head`. */
function partOf(name: string): string {
  return name.split('.').slice(0, 2).join('.');
}

/** Writes pictures and boxes as tensors, the rest as JSON in the header: to look at what a run stopped on. */
export async function saveBatch(path: string, samples: readonly TrainingSample[]): Promise<void> {
  const tensors = new Map<string, SafetensorsTensor>();
  const described = samples.map(({ data, height, width, imageId, fileName, groundTruth }, i) => {
    const { boxes, classes, masks, keypoints } = groundTruth;
    tensors.set(`${i}.image`, { shape: [height, width, 3], dtype: 'U8', data });
    tensors.set(`${i}.boxes`, { shape: [classes.length, 4], dtype: 'F32', data: boxes });
    tensors.set(`${i}.classes`, { shape: [classes.length], dtype: 'I32', data: classes });
    if (keypoints && classes.length > 0)
      tensors.set(`${i}.keypoints`, {
        shape: [classes.length, keypoints.length / classes.length / 3, 3],
        dtype: 'F32',
        data: keypoints,
      });
    (masks ?? []).forEach((mask, k) => {
      if (mask.kind === 'bitmap') tensors.set(`${i}.bitmap.${k}`, { shape: [height, width], dtype: 'U8', data: mask.bitmap });
    });
    return { image_id: imageId, file_name: fileName, polygons: (masks ?? []).map(polygonsOf) };
  });
  await writeSafetensors(path, tensors, { samples: JSON.stringify(described) });
}

const polygonsOf = (mask: MaskAnnotation): number[][] | null =>
  mask.kind === 'polygons' ? mask.polygons.map((polygon) => [...polygon]) : null;
