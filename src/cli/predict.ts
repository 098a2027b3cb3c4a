import { stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { type Command, Option } from 'commander';
import type { Predictor } from '../engine/predictor.js';
import { fraction, positiveInteger } from './numbers.js';
import { type Format, FORMATS, type PredictedImage } from './predicted_image.js';

const IMAGE_NAMES = '*.{jpg,jpeg,png,webp,avif,gif,tif,tiff}';

interface PredictFlags {
  model?: string;
  config?: string;
  weights?: string;
  device: string;
  score: string;
  output: string;
  format: Format;
  maxPixels?: string;
  tile?: number;
  overlap?: number;
  tta?: boolean;
  ttaSizes?: string;
  softNms?: string;
  shard?: string;
  offline?: boolean;
  json?: boolean;
}

export function register(program: Command): void {
  program
    .command('predict')
    .description('find the instances in pictures: files, folders or globs')
    .argument('<image...>', 'image files, folders of images, or globs')
    .option(
      '--model <name|folder>',
      'a model of the zoo, or a folder with config.yaml and one weight file (default: the model that ships)',
    )
    .option('--config <file>', 'a Detectron2 config, with --weights')
    .option(
      '--weights <file>',
      "a weight file (.pkl, .pth, .safetensors), with --config; torchvision's .pth and Matterport's .h5 without",
    )
    .option('--device <name>', 'auto, tensorflow, wasm or cpu', 'auto')
    .option('--score <number>', 'show instances above this score', '0.5')
    .option('--output <path>', 'the folder for the results, or a file when there is only one', 'predictions')
    .addOption(
      new Option(
        '--format <name>',
        'png or svg: a drawing per picture; coco: results for pycocotools; panoptic: PNGs of segments and panoptic.json; json: everything in one file',
      )
        .choices(FORMATS)
        .default('png'),
    )
    .option('--max-pixels <number>', 'largest width x height that is decoded')
    .option(
      '--tile <pixels>',
      'large pictures: predict in overlapping tiles of this side and join what they show',
      positiveInteger,
    )
    .option('--overlap <share>', 'with --tile: the share of a tile that the next one shows again (default: 0.25)', fraction)
    .option(
      '--tta',
      'look at several sizes of each picture and at their mirror images (TEST.AUG of the config): slower, more exact',
    )
    .option('--tta-sizes <pixels,...>', "with --tta: the short sides (default: the config's TEST.AUG.MIN_SIZES)")
    .addOption(
      new Option(
        '--soft-nms <method>',
        'scores of overlapping instances of a class decay in the place of the weaker ones being dropped (TEST.SOFT_NMS of the config)',
      ).choices(['linear', 'gaussian']),
    )
    .option(
      '--shard <i/n>',
      'only this share of the pictures, counted from 0, or auto (Slurm, Kubernetes, MPI); maskrcnn merge joins',
    )
    .option('--offline', 'never go to the network')
    .option('--json', 'print what was found as JSON')
    .action(async (patterns: string[], flags: PredictFlags) => {
      process.exitCode = await predict(patterns, flags);
    });
}

async function predict(patterns: readonly string[], flags: PredictFlags): Promise<number> {
  const { ArgumentError } = await import('../errors.js');
  const score = Number(flags.score);
  if (!(score >= 0 && score <= 1)) throw new ArgumentError(`--score is '${flags.score}'; expected a number from 0 to 1.`);
  if (flags.shard === undefined) {
    const { refuseCopies } = await import('../sharding/shard.js');
    refuseCopies('predict', process.env);
  }
  const files = await findImages(patterns);
  const { augmentationOverrides, loadPredictor } = await import('./load_predictor.js');
  if (flags.overlap !== undefined && flags.tile === undefined) throw new ArgumentError('--overlap goes with --tile.');
  const overrides = augmentationOverrides(flags);
  if (flags.softNms !== undefined) overrides.push(`TEST.SOFT_NMS.METHOD=${flags.softNms}`);
  const predictor = await loadPredictor(flags, { scoreThreshold: score, overrides });
  try {
    return await (flags.shard === undefined
      ? predictAll(predictor, files, flags)
      : predictShard(predictor, files, flags, flags.shard));
  } finally {
    predictor.dispose();
  }
}

async function predictAll(predictor: Predictor, files: readonly string[], flags: PredictFlags): Promise<number> {
  const { categoriesOf, finishPredictions, predictImage, summary } = await import('./predicted_image.js');
  const { default: progress } = await import('cli-progress');
  const outputs = pictureNames(files, flags);
  const images: PredictedImage[] = [];
  const bar =
    files.length > 1 && process.stderr.isTTY
      ? new progress.SingleBar({ format: ' {bar} {value}/{total} {file} {eta_formatted}' })
      : undefined;
  bar?.start(files.length, 0, { file: '' });
  for (const [place, file] of files.entries()) {
    bar?.update(place, { file: basename(file) });
    const image = await predictImage(predictor, { file, place, output: outputs[place] }, flags);
    images.push(image);
    if (bar) continue;
    if (image.failed) console.error(`error: ${image.failed.error}`);
    else if (!flags.json) console.log(summary(image.report!));
  }
  bar?.update(files.length, { file: '' });
  bar?.stop();
  if (bar) for (const { failed } of images) if (failed) console.error(`error: ${failed.error}`);
  return finishPredictions(images, predictor.device, flags, await categoriesOf(predictor, flags.format));
}

/** The shard's own pictures, as a part for `maskrcnn merge`; pictures that are done stay, those that failed are tried again. */
async function predictShard(predictor: Predictor, files: readonly string[], flags: PredictFlags, text: string): Promise<number> {
  const [{ parseShard }, { writePredictionPart }, { summary }, { shardSummary }] = await Promise.all([
    import('../sharding/shard.js'),
    import('./prediction_part.js'),
    import('./predicted_image.js'),
    import('./shard_summary.js'),
  ]);
  const { ArgumentError } = await import('../errors.js');
  if (extname(flags.output) !== '')
    throw new ArgumentError(`--output is '${flags.output}'; a shard leaves its part in a folder that all shards share.`);
  const shard = parseShard(text, process.env);
  const done = await writePredictionPart(predictor, files, {
    folder: flags.output,
    shard,
    lock: { notice: (line) => console.error(line) },
    format: flags.format,
    outputs: pictureNames(files, flags),
    ...(flags.maxPixels === undefined ? {} : { maxPixels: flags.maxPixels }),
    ...(flags.tile === undefined ? {} : { tile: flags.tile }),
    ...(flags.overlap === undefined ? {} : { overlap: flags.overlap }),
    onImage: ({ report, failed }) => {
      if (failed) console.error(`error: ${failed.error}`);
      else if (!flags.json) console.log(summary(report!));
    },
  });
  process.stdout.write(shardSummary(shard, done, flags));
  return done.failed > 0 ? 1 : 0;
}

/** Files as given, the pictures of folders by name, and what globs match. */
async function findImages(patterns: readonly string[]): Promise<string[]> {
  const { ImageError } = await import('../errors.js');
  const { glob } = await import('tinyglobby');
  const files: string[] = [];
  for (const pattern of patterns) {
    const found = await stat(pattern).catch(() => undefined);
    if (found?.isDirectory()) {
      const inside = await glob(IMAGE_NAMES, { cwd: pattern, caseSensitiveMatch: false });
      if (inside.length === 0) throw new ImageError(`The folder ${pattern} has no images (${IMAGE_NAMES}).`);
      files.push(...inside.sort().map((name) => join(pattern, name)));
    } else if (found || !/[*?[\]{}]/.test(pattern)) {
      files.push(pattern);
    } else {
      const matches = await glob(pattern, { caseSensitiveMatch: false });
      if (matches.length === 0) throw new ImageError(`No file matches ${pattern}.`);
      files.push(...matches.sort());
    }
  }
  return files;
}

/** A name of its own for every picture that is written: `a.png`, and `a_2.png` where two share a name; none for formats of one file. */
function pictureNames(files: readonly string[], { output, format }: Pick<PredictFlags, 'output' | 'format'>): string[] {
  if (format === 'coco' || format === 'json') return [];
  if (files.length === 1 && extname(output) === `.${format}`) return [output];
  const taken = new Set<string>();
  return files.map((file) => {
    const stem = basename(file, extname(file));
    let name = stem;
    for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${stem}_${n}`;
    taken.add(name.toLowerCase());
    // The PNGs of COCO's panoptic files lie in a folder that is called as the file.
    if (format === 'panoptic')
      return join(extname(output) === '.json' ? output.slice(0, -5) : join(output, 'panoptic'), `${name}.png`);
    return join(output, `${name}.${format}`);
  });
}
