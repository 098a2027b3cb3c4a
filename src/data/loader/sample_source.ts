import type { Config } from '../../config/index.js';
import { ArgumentError, ConfigError } from '../../errors.js';
import type { TrainingSample } from '../../structures/training_sample.js';
import type { DatasetRecord } from '../coco/dataset_records.js';
import { DatasetMapper } from '../dataset_mapper.js';
import { readImage } from '../image_io/read_image.js';
import { readSemanticLabels } from '../image_io/read_semantic_labels.js';
import { copyPaste } from '../mix/copy_paste.js';
import { mosaic } from '../mix/mosaic.js';
import { Random, type RandomState } from '../random.js';
import { buildAugmentations, type AugmentationSpec } from '../transforms/augmentation_specs.js';

/** A sample to make: everything that it depends on, as plain data, so that it can be made in any thread. */
export interface SampleTask {
  readonly record: DatasetRecord;
  /** The state of the generator that augmentation draws from. */
  readonly random: RandomState;
  /** Further pictures: three for a mosaic, one whose objects are pasted. */
  readonly mosaic?: readonly DatasetRecord[];
  readonly paste?: DatasetRecord;
}

/** Samples made of several pictures. */
export interface MixOptions {
  /** Share of the samples that become a mosaic of four pictures, and its size in pixels. */
  readonly mosaic?: { readonly probability: number; readonly height: number; readonly width: number };
  /** Share of the samples that objects of another picture are pasted on; needs masks. */
  readonly copyPaste?: { readonly probability: number };
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
  readonly mix?: MixOptions;
  /** In the place of the configuration's. */
  readonly augmentations?: readonly AugmentationSpec[];
}

/** Makes samples in this thread: reads, decodes, augments. */
export class InProcessSource implements SampleSource {
  private readonly mapper: DatasetMapper;
  private readonly format: 'BGR' | 'RGB';
  private readonly mix: MixOptions;

  constructor({ config, keypointFlipIndices, mix, augmentations }: SourceOptions) {
    this.mix = mix ?? {};
    checkMix(this.mix, config);
    const { FORMAT: format } = config.INPUT;
    if (format === 'L') throw new ConfigError('INPUT.FORMAT is L; training takes colour pictures: BGR or RGB.');
    this.format = format as 'BGR' | 'RGB';
    this.mapper = DatasetMapper.fromConfig(config, {
      ...(keypointFlipIndices ? { keypointFlipIndices } : {}),
      // With augmentations of the caller's own a crop may be among them: boxes are taken from the masks, where there are any.
      ...(augmentations ? { augmentations: buildAugmentations(augmentations), boxesFromMasks: config.MODEL.MASK_ON } : {}),
    });
  }

  async make({ record, random: state, mosaic: others, paste }: SampleTask): Promise<TrainingSample> {
    const random = new Random(state);
    const single = async (of: DatasetRecord, numbers: Random): Promise<TrainingSample> => {
      const image = await readImage(of.file_name, { format: this.format });
      const file = of.sem_seg_file_name;
      return this.mapper.map(image, of, numbers, file === undefined ? undefined : await readSemanticLabels(file));
    };
    let sample = await single(record, random);
    if (others && this.mix.mosaic) {
      const samples = [sample];
      for (const [i, other] of others.entries()) samples.push(await single(other, random.fork(i)));
      sample = mosaic(samples, this.mix.mosaic, random);
    }
    if (!paste) return sample;
    return copyPaste(sample, await single(paste, random.fork(others?.length ?? 0)), random);
  }

  async close(): Promise<void> {}
}

function checkMix({ mosaic: four, copyPaste: paste }: MixOptions, config: Config): void {
  for (const [name, probability] of [
    ['mosaic', four?.probability ?? 0],
    ['copyPaste', paste?.probability ?? 0],
  ] as const)
    if (!(probability >= 0 && probability <= 1))
      throw new ArgumentError(`mix.${name}.probability must be from 0 to 1, not ${probability}.`);
  if (four && ![four.height, four.width].every((v) => Number.isInteger(v) && v > 0))
    throw new ArgumentError(`mix.mosaic needs a height and a width in pixels, not ${four.height} x ${four.width}.`);
  if (paste && !config.MODEL.MASK_ON) throw new ConfigError('mix.copyPaste needs masks: set MODEL.MASK_ON.');
}
