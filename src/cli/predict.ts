import { stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { type Command, Option } from 'commander';
import type { Predictor } from '../engine/predictor.js';
import type { CocoResult, Prediction } from '../structures/prediction.js';

const IMAGE_NAMES = '*.{jpg,jpeg,png,webp,avif,gif,tif,tiff}';
const FORMATS = ['png', 'svg', 'coco', 'json'] as const;
type Format = (typeof FORMATS)[number];

interface PredictFlags {
  model?: string;
  config?: string;
  weights?: string;
  device: string;
  score: string;
  output: string;
  format: Format;
  maxPixels?: string;
  offline?: boolean;
  json?: boolean;
}

/** What one picture gave, as `--json` and `--format json` print it. */
interface ImageReport {
  file: string;
  height: number;
  width: number;
  instances: { class_name: string; class_index: number; score: number; box: number[]; mask_area?: number }[];
  milliseconds: Prediction['times'];
  output?: string;
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
    .option('--weights <file>', 'a weight file (.pkl, .pth, .safetensors), with --config')
    .option('--device <name>', 'auto, tensorflow, wasm or cpu', 'auto')
    .option('--score <number>', 'show instances above this score', '0.5')
    .option('--output <path>', 'the folder for the results, or a file when there is only one', 'predictions')
    .addOption(
      new Option(
        '--format <name>',
        'png or svg: a drawing per picture; coco: results for pycocotools; json: everything in one file',
      )
        .choices(FORMATS)
        .default('png'),
    )
    .option('--max-pixels <number>', 'largest width x height that is decoded')
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
  const files = await findImages(patterns);
  const { loadPredictor } = await import('./load_predictor.js');
  const predictor = await loadPredictor(flags, { scoreThreshold: score });
  try {
    return await predictAll(predictor, files, flags);
  } finally {
    predictor.dispose();
  }
}

async function predictAll(predictor: Predictor, files: readonly string[], flags: PredictFlags): Promise<number> {
  const { writeFileAtomic } = await import('../atomic_file.js');
  const { default: progress } = await import('cli-progress');
  const drawn = flags.format === 'png' || flags.format === 'svg';
  const outputs = drawn ? drawingNames(files, flags) : [];
  const reports: ImageReport[] = [];
  const coco: CocoResult[] = [];
  const failed: { file: string; error: string }[] = [];
  const bar =
    files.length > 1 && process.stderr.isTTY
      ? new progress.SingleBar({ format: ' {bar} {value}/{total} {file} {eta_formatted}' })
      : undefined;
  bar?.start(files.length, 0, { file: '' });
  for (const [i, file] of files.entries()) {
    bar?.update(i, { file: basename(file) });
    try {
      const result = await predictor.predict(file, flags.maxPixels === undefined ? {} : { maxPixels: Number(flags.maxPixels) });
      const report = describe(file, result);
      if (drawn) {
        await result.draw().toFile(outputs[i]);
        report.output = outputs[i];
      } else if (flags.format === 'coco') {
        coco.push(...result.toCoco({ imageId: i }));
      }
      reports.push(report);
      if (!flags.json && !bar) console.log(summary(report));
    } catch (error) {
      failed.push({ file, error: error instanceof Error ? error.message : String(error) });
      if (!bar) console.error(`error: ${failed[failed.length - 1].error}`);
    }
  }
  bar?.update(files.length, { file: '' });
  bar?.stop();
  if (bar) for (const { error } of failed) console.error(`error: ${error}`);
  const results = { device: predictor.device, images: reports, failed };
  if (!drawn) {
    const path =
      extname(flags.output) === '.json'
        ? flags.output
        : join(flags.output, flags.format === 'coco' ? 'coco_results.json' : 'predictions.json');
    await writeFileAtomic(path, JSON.stringify(flags.format === 'coco' ? coco : results));
    if (!flags.json) console.log(`wrote ${path}`);
  }
  if (flags.json) console.log(JSON.stringify(results));
  else
    console.log(
      `${reports.length} of ${files.length} pictures done on ${predictor.device}${failed.length > 0 ? `, ${failed.length} failed` : ''}`,
    );
  return failed.length > 0 ? 1 : 0;
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

/** A name of its own for every drawing: `a.png`, and `a_2.png` where two pictures share a name. */
function drawingNames(files: readonly string[], { output, format }: PredictFlags): string[] {
  if (files.length === 1 && extname(output) === `.${format}`) return [output];
  const taken = new Set<string>();
  return files.map((file) => {
    const stem = basename(file, extname(file));
    let name = stem;
    for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${stem}_${n}`;
    taken.add(name.toLowerCase());
    return join(output, `${name}.${format}`);
  });
}

function describe(file: string, result: Prediction): ImageReport {
  return {
    file,
    height: result.height,
    width: result.width,
    instances: result.instances.map(({ className, classIndex, score, box, mask }) => ({
      class_name: className,
      class_index: classIndex,
      score,
      box: [...box],
      ...(mask ? { mask_area: mask.area() } : {}),
    })),
    milliseconds: result.times,
  };
}

function summary({ file, instances, output }: ImageReport): string {
  const found = instances.map(({ class_name, score }) => `${class_name} ${score.toFixed(2)}`).join(', ') || 'nothing';
  return `${file}: ${found}${output === undefined ? '' : ` -> ${output}`}`;
}
