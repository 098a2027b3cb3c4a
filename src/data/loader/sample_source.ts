import type { Config } from '../../config/index.js';
import { ConfigError } from '../../errors.js';
import type { TrainingSample } from '../../structures/training_sample.js';
import type { DatasetRecord } from '../coco/dataset_records.js';
import { DatasetMapper } from '../dataset_mapper.js';
import { readImage } from '../image_io/read_image.js';
import { Random, type RandomState } from '../random.js';

/** A sample to make: everything that it depends on, as plain data, so that it can be made in any thread. */
export interface SampleTask {
  readonly record: DatasetRecord;
  /** The state of the generator that augmentation draws from. */
  readonly random: RandomState;
}

/** What makes samples. */
export interface SampleSource {
  /** @throws ImageError, DatasetError that name the file */
  make(task: SampleTask): Promise<TrainingSample>;
  /** Ends what runs; samples under way are rejected. */
  close(): Promise<void>;
}

/** What a source is made from, as plain data. */
export interface SourceOptions {
  readonly config: Config;
  readonly keypointFlipIndices?: readonly number[];
}

/** Makes samples in this thread: reads, decodes, augments. */
export class InProcessSource implements SampleSource {
  private readonly mapper: DatasetMapper;
  private readonly format: 'BGR' | 'RGB';

  constructor({ config, keypointFlipIndices }: SourceOptions) {
    const { FORMAT: format } = config.INPUT;
    if (format === 'L') throw new ConfigError('INPUT.FORMAT is L; training takes colour pictures: BGR or RGB.');
    this.format = format as 'BGR' | 'RGB';
    this.mapper = DatasetMapper.fromConfig(config, keypointFlipIndices ? { keypointFlipIndices } : {});
  }

  async make({ record, random }: SampleTask): Promise<TrainingSample> {
    const image = await readImage(record.file_name, { format: this.format });
    return this.mapper.map(image, record, new Random(random));
  }

  async close(): Promise<void> {}
}
