import type { Command } from 'commander';
import { ArgumentError } from '../errors.js';

interface PreviewFlags {
  images: string;
  output: string;
  config?: string;
  set: string[];
  count: number;
  columns: number;
  size: number;
  seed: number;
  mosaic: number;
  copyPaste: number;
  json?: boolean;
}

/** `maskrcnn dataset preview`: what training will see. */
export function registerPreview(dataset: Command): void {
  dataset
    .command('preview')
    .description(
      'write a PNG sheet of samples as training sees them: resized, flipped, cropped, with their objects (keypoints with --set MODEL.KEYPOINT_ON=True)',
    )
    .argument('<file>', 'COCO annotation JSON')
    .requiredOption('--images <folder>', 'folder of the pictures')
    .requiredOption('--output <file>', 'the sheet, a PNG file')
    .option('--config <file>', "a config file or the name of a published one; default Detectron2's settings with masks")
    .option('--set <key=value>', 'change a setting, such as INPUT.CROP.ENABLED=True; may be repeated', collect, [])
    .option('--count <number>', 'samples on the sheet', positive, 12)
    .option('--columns <number>', 'samples in a row', positive, 4)
    .option('--size <pixels>', 'longest side of a sample on the sheet', positive, 400)
    .option('--seed <number>', 'seed of order and augmentation', whole, 0)
    .option('--mosaic <share>', 'share of the samples made of four pictures', share, 0)
    .option('--copy-paste <share>', 'share of the samples with objects pasted from another picture', share, 0)
    .option('--json', 'print JSON')
    .action(async (file: string, flags: PreviewFlags) => {
      if (!/\.png$/i.test(flags.output)) throw new ArgumentError(`--output must end in .png, it is ${flags.output}.`);
      const [{ getConfig }, { trainSamplesFromConfig }, { sampleSheet }, { withProgress }, { writeFileAtomic }] =
        await Promise.all([
          import('../config/index.js'),
          import('../data/loader/index.js'),
          import('../visualization/sample_sheet.js'),
          import('./progress_bar.js'),
          import('../atomic_file.js'),
        ]);
      const cfg = getConfig(flags.config, [...(flags.config === undefined ? ['MODEL.MASK_ON=True'] : []), ...flags.set]);
      const side = { height: cfg.INPUT.MIN_SIZE_TRAIN[0] ?? 800, width: cfg.INPUT.MIN_SIZE_TRAIN[0] ?? 800 };
      const loader = await trainSamplesFromConfig(cfg, {
        json: file,
        images: flags.images,
        seed: flags.seed,
        batchSize: 1,
        mix: {
          ...(flags.mosaic > 0 ? { mosaic: { probability: flags.mosaic, ...side } } : {}),
          ...(flags.copyPaste > 0 ? { copyPaste: { probability: flags.copyPaste } } : {}),
        },
      });
      for (const warning of loader.dataset.warnings) process.stderr.write(`warning: ${warning}\n`);
      const samples = await withProgress('making samples', 'samples', flags.count, async (tick) => {
        const made = [];
        for (let i = 0; i < flags.count; i++) {
          made.push(...((await loader.next()).value ?? []));
          tick(i + 1);
        }
        return made;
      });
      const order = cfg.INPUT.FORMAT as 'BGR' | 'RGB';
      const { classes, keypointNames, withoutObjects, records } = loader.dataset;
      await writeFileAtomic(
        flags.output,
        await sampleSheet(samples, {
          classes,
          order,
          columns: flags.columns,
          size: flags.size,
          ...(keypointNames ? { keypointNames } : {}),
        }),
      );
      await loader.close();
      const shown = samples.map((s) => ({
        file: s.fileName,
        height: s.height,
        width: s.width,
        objects: s.groundTruth.classes.length,
      }));
      if (flags.json)
        process.stdout.write(
          `${JSON.stringify({ output: flags.output, pictures: records.length, withoutObjects, samples: shown })}\n`,
        );
      else
        process.stdout.write(
          `${flags.output}: ${samples.length} samples of ${records.length} pictures (${withoutObjects} without objects left out)\n`,
        );
    });
}

function collect(text: string, before: string[]): string[] {
  return [...before, text];
}

function number(text: string, fits: (value: number) => boolean, expected: string): number {
  const value = Number(text);
  if (text.trim() === '' || !fits(value)) throw new ArgumentError(`"${text}" is not ${expected}.`);
  return value;
}

const whole = (text: string): number =>
  number(text, (v) => Number.isInteger(v) && v >= 0 && v < 2 ** 32, 'a whole number from 0');
const positive = (text: string): number => number(text, (v) => Number.isInteger(v) && v > 0, 'a whole number above 0');
const share = (text: string): number => number(text, (v) => v >= 0 && v <= 1, 'a number from 0 to 1');
