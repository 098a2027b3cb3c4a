import { extname, join } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import type { Predictor } from '../engine/predictor.js';
import type { CocoResult, Prediction } from '../structures/prediction.js';

/** `png` and `svg`: a drawing per picture; the others one file. */
export const FORMATS = ['png', 'svg', 'coco', 'json'] as const;
export type Format = (typeof FORMATS)[number];

/** What one picture gave, as `--json` and `--format json` print it. */
interface ImageReport {
  file: string;
  height: number;
  width: number;
  instances: { class_name: string; class_index: number; score: number; box: number[]; mask_area?: number }[];
  milliseconds: Prediction['times'];
  output?: string;
}

/** What became of one picture. */
export interface PredictedImage {
  readonly report?: ImageReport;
  /** With the format `coco`. */
  readonly coco?: CocoResult[];
  /** Why there is no report. */
  readonly failed?: { file: string; error: string };
}

/**
 * Predicts on one picture and draws it where the format says so; a picture that cannot be read is told in the result.
 * @param picture its file, its place in the list of all (`image_id` in COCO results), and where its drawing goes
 */
export async function predictImage(
  predictor: Predictor,
  picture: { file: string; place: number; output: string | undefined },
  { format, maxPixels, tile }: { format: Format; maxPixels?: string; tile?: number },
): Promise<PredictedImage> {
  const { file, place, output } = picture;
  try {
    const options = maxPixels === undefined ? {} : { maxPixels: Number(maxPixels) };
    const result =
      tile === undefined
        ? await predictor.predict(file, options)
        : // The command line loads no TensorFlow.js for its help.
          await (await import('../engine/predict_tiled.js')).predictTiled(predictor, file, { ...options, tile });
    const report = describe(file, result);
    if (output !== undefined) {
      await result.draw().toFile(output);
      report.output = output;
    }
    return { report, ...(format === 'coco' ? { coco: result.toCoco({ imageId: place }) } : {}) };
  } catch (error) {
    return { failed: { file, error: error instanceof Error ? error.message : String(error) } };
  }
}

/**
 * Writes the one file of the formats `coco` and `json`, and prints the last line (all, with `--json`).
 * @returns the exit code: 1 where a picture failed
 */
export async function finishPredictions(
  images: readonly PredictedImage[],
  device: string,
  flags: { format: Format; output: string; json?: boolean },
): Promise<number> {
  const reports = images.flatMap(({ report }) => report ?? []);
  const failed = images.flatMap((image) => image.failed ?? []);
  const results = { device, images: reports, failed };
  if (!isDrawn(flags.format)) {
    const path =
      extname(flags.output) === '.json'
        ? flags.output
        : join(flags.output, flags.format === 'coco' ? 'coco_results.json' : 'predictions.json');
    await writeFileAtomic(path, JSON.stringify(flags.format === 'coco' ? images.flatMap(({ coco }) => coco ?? []) : results));
    if (!flags.json) console.log(`wrote ${path}`);
  }
  if (flags.json) console.log(JSON.stringify(results));
  else
    console.log(
      `${reports.length} of ${images.length} pictures done on ${device}${failed.length > 0 ? `, ${failed.length} failed` : ''}`,
    );
  return failed.length > 0 ? 1 : 0;
}

export function isDrawn(format: Format): format is 'png' | 'svg' {
  return format === 'png' || format === 'svg';
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

/** A line for a person. */
export function summary({ file, instances, output }: ImageReport): string {
  const found = instances.map(({ class_name, score }) => `${class_name} ${score.toFixed(2)}`).join(', ') || 'nothing';
  return `${file}: ${found}${output === undefined ? '' : ` -> ${output}`}`;
}
