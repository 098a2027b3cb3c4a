import { ArgumentError, ConfigError, DatasetError } from '../../errors.js';
import type { TrainingSample } from '../../structures/training_sample.js';
import type { DatasetRecord } from '../coco/dataset_records.js';
import { Random } from '../random.js';
import { BatchStream, type BatchState, type Draw } from '../samplers/batches.js';
import type { Sampler } from '../samplers/sampler.js';
import type { MixOptions, SampleSource } from './sample_source.js';

/** Where a loader stands, after the batches handed out; plain JSON for a checkpoint. */
export interface LoaderState {
  readonly seed: number;
  /** Pictures of the data set, to notice another one. */
  readonly pictures: number;
  readonly batches: BatchState;
}

/** What a loader's data set holds. */
export interface LoadedDataset {
  readonly records: readonly DatasetRecord[];
  /** By contiguous id. */
  readonly classes: readonly string[];
  /** Category id of the file to contiguous id. */
  readonly categoryIds: ReadonlyMap<number, number>;
  /** Pictures left out because they have no object (but crowds). */
  readonly withoutObjects: number;
  /** What was left out, for the user. */
  readonly messages: readonly string[];
  /** What is likely to go wrong, and what to do, for the user. */
  readonly warnings: readonly string[];
  /** By number; for models with keypoints, where the file names them. */
  readonly keypointNames?: readonly string[];
}

/** One of several equal parts, from 0. */
export interface BatchPart {
  readonly rank: number;
  readonly size: number;
}

/** Options of {@link TrainLoader}. */
export interface TrainLoaderOptions {
  readonly dataset: LoadedDataset;
  /** Of a seed and a state follows every sample. */
  readonly seed: number;
  readonly sampler: Sampler;
  readonly source: SampleSource;
  /** Pictures a batch; of the whole batch, where it is divided. */
  readonly batchSize: number;
  /** Makes one of so many equal parts of every batch: what one of several processes learns from. Order, samples and state are those of the whole. */
  readonly part?: BatchPart;
  /** Upright and lying pictures in batches of their own; default true. */
  readonly groupByAspectRatio?: boolean;
  /** Batches made ahead; default 0: a batch is begun when it is asked for. */
  readonly prefetch?: number;
  /** Samples made of several pictures; the source must know the same. */
  readonly mix?: MixOptions;
  /** Goes on where an earlier loader stood. */
  readonly state?: LoaderState;
}

/**
 * Batches of training samples, forever: `for await (const batch of loader)`, or `next()`. Order and samples follow from the seed alone, not
 * from threads or timing. Close it after use.
 */
export class TrainLoader implements AsyncIterableIterator<TrainingSample[]> {
  readonly dataset: LoadedDataset;
  private readonly stream: BatchStream;
  private readonly random: Random;
  private readonly ahead: { samples: Promise<TrainingSample[]>; after: BatchState }[] = [];
  private handedOut: BatchState;
  private closed = false;

  constructor(private readonly options: TrainLoaderOptions) {
    const { dataset, state, sampler, batchSize, part, groupByAspectRatio = true, prefetch = 0 } = options;
    if (part && batchSize % part.size !== 0)
      throw new ConfigError(
        `SOLVER.IMS_PER_BATCH is ${batchSize}, the pictures of a step over all processes; ${part.size} processes do not divide it. Set a multiple of ${part.size}.`,
      );
    this.dataset = dataset;
    if (!(Number.isInteger(prefetch) && prefetch >= 0))
      throw new ArgumentError(`prefetch must be a whole number from 0, not ${prefetch}.`);
    if (state && state.pictures !== dataset.records.length)
      throw new DatasetError(
        `The loader's state was written for ${state.pictures} pictures, the data set has ${dataset.records.length}; resume with the same data set.`,
      );
    if (state && state.seed !== options.seed)
      throw new DatasetError(
        `The loader's state was written with seed ${state.seed}, not ${options.seed}; resume with the same seed.`,
      );
    this.stream = new BatchStream(sampler, batchSize, groupByAspectRatio ? dataset.records : undefined, state?.batches);
    this.handedOut = this.stream.state;
    this.random = new Random(options.seed).fork(SAMPLES);
  }

  /** Where the loader stands after the batches handed out; those made ahead do not count. */
  get state(): LoaderState {
    return { seed: this.options.seed, pictures: this.dataset.records.length, batches: this.handedOut };
  }

  /**
   * The next batch.
   * @throws ImageError, DatasetError that name the file; the loader can go on with the next batch
   */
  async next(): Promise<IteratorResult<TrainingSample[]>> {
    if (this.closed) return { done: true, value: undefined };
    const { prefetch = 0 } = this.options;
    while (this.ahead.length < prefetch + 1) this.begin();
    const { samples, after } = this.ahead.shift()!;
    try {
      return { done: false, value: await samples };
    } finally {
      this.handedOut = after;
    }
  }

  async return(): Promise<IteratorResult<TrainingSample[]>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Ends the threads; batches made ahead are dropped. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.options.source.close();
    await Promise.allSettled(this.ahead.splice(0).map(({ samples }) => samples));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private begin(): void {
    const samples = Promise.all(this.ownPart(this.stream.next()).map((draw) => this.make(draw)));
    // An error of a batch made ahead is thrown when that batch is asked for.
    samples.catch(() => undefined);
    this.ahead.push({ samples, after: this.stream.state });
  }

  private ownPart(draws: Draw[]): Draw[] {
    const { rank, size } = this.options.part ?? { rank: 0, size: 1 };
    const count = draws.length / size;
    return draws.slice(rank * count, (rank + 1) * count);
  }

  private make({ index, position }: Draw): Promise<TrainingSample> {
    const { dataset, source, mix } = this.options;
    const random = this.random.fork(position);
    const { state } = random;
    const record = dataset.records[index];
    if (!mix) return source.make({ record, random: state });
    // The other pictures are drawn here, so that a task holds all that its sample depends on.
    const partners = random.fork(PARTNERS);
    const other = (): DatasetRecord => dataset.records[partners.integer(dataset.records.length)];
    const four = partners.next() < (mix.mosaic?.probability ?? 0) ? [other(), other(), other()] : undefined;
    const paste = partners.next() < (mix.copyPaste?.probability ?? 0) ? other() : undefined;
    return source.make({ record, random: state, ...(four ? { mosaic: four } : {}), ...(paste ? { paste } : {}) });
  }
}

/** Keeps the numbers of augmentation apart from those of the sampler, which has the same seed. */
const SAMPLES = 1;

/** And the choice of further pictures apart from both. */
const PARTNERS = 2;
