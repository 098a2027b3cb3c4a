import { basename, extname, join } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import type { PanopticAnnotation, PanopticDataset } from '../data/coco/read_panoptic.js';
import type { Predictor } from '../engine/predictor.js';
import { ArgumentError } from '../errors.js';
import type { CocoResult, Prediction } from '../structures/prediction.js';

/** `png` and `svg`: a drawing per picture; `panoptic`: a PNG of segments per picture and one file; the others one file. */
export const FORMATS = ['png', 'svg', 'coco', 'panoptic', 'json'] as const;
export type Format = (typeof FORMATS)[number];

/** What one picture gave, as `--json` and `--format json` print it. */
interface ImageReport {
  file: string;
  height: number;
  width: number;
  instances: { class_name: string; class_index: number; score: number; box: number[]; mask_area?: number }[];
  /** Of panoptic models: things and stuff, without overlaps; of semantic ones the classes that the picture shows. Areas in pixels. */
  segments?: { class_name: string; class_index: number; is_thing: boolean; area: number; score?: number }[];
  milliseconds: Prediction['times'];
  output?: string;
}

/** What became of one picture. */
export interface PredictedImage {
  readonly report?: ImageReport;
  /** With the format `coco`. */
  readonly coco?: CocoResult[];
  /** With the format `panoptic`: the picture's row of the panoptic file. */
  readonly panoptic?: { image: PanopticDataset['images'][number]; annotation: PanopticAnnotation };
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
  { format, maxPixels, tile, overlap }: { format: Format; maxPixels?: string; tile?: number; overlap?: number },
): Promise<PredictedImage> {
  const { file, place, output } = picture;
  try {
    const options = maxPixels === undefined ? {} : { maxPixels: Number(maxPixels) };
    const result =
      tile === undefined
        ? await predictor.predict(file, options)
        : // The command line loads no TensorFlow.js for its help.
          await (
            await import('../engine/predict_tiled.js')
          ).predictTiled(predictor, file, {
            ...options,
            tile,
            ...(overlap === undefined ? {} : { overlap }),
          });
    const report = describe(file, result);
    if (output !== undefined && format === 'panoptic') {
      const panoptic = await writePanoptic(predictor, result, picture as { file: string; place: number; output: string });
      return { report: { ...report, output }, panoptic };
    }
    if (output !== undefined) {
      await result.draw().toFile(output);
      report.output = output;
    }
    return { report, ...(format === 'coco' ? { coco: result.toCoco({ imageId: place }) } : {}) };
  } catch (error) {
    return { failed: { file, error: error instanceof Error ? error.message : String(error) } };
  }
}

/** Writes the PNG of segment ids. @throws ArgumentError for a model without panoptic maps */
async function writePanoptic(
  predictor: Predictor,
  { pixels: { panoptic }, height, width }: Prediction,
  { file, place, output }: { file: string; place: number; output: string },
): Promise<NonNullable<PredictedImage['panoptic']>> {
  if (!panoptic)
    throw new ArgumentError('The format panoptic needs a panoptic model, and pictures that are predicted whole (no --tile).');
  const [{ panopticAnnotation, panopticCategories }, { encodePanopticPng }] = await Promise.all([
    import('../data/coco/panoptic_results.js'),
    import('../data/coco/panoptic_png.js'),
  ]);
  const { ids } = panopticCategories(predictor.classNames, predictor.semanticClassNames);
  const { annotation, pixels } = panopticAnnotation(panoptic, place, basename(output), ids);
  await writeFileAtomic(output, await encodePanopticPng({ ids: pixels, height, width }));
  return { image: { id: place, file_name: basename(file), height, width }, annotation };
}

/** The categories of the file that the format `panoptic` gives; none for the other formats. */
export async function categoriesOf(
  { classNames, semanticClassNames }: Predictor,
  format: Format,
): Promise<PanopticDataset['categories']> {
  if (format !== 'panoptic') return [];
  const { panopticCategories } = await import('../data/coco/panoptic_results.js');
  return panopticCategories(classNames, semanticClassNames).categories;
}

/** The one file of the format. */
function fileOf(
  format: Format,
  images: readonly PredictedImage[],
  results: object,
  categories: PanopticDataset['categories'],
): object {
  if (format === 'coco') return images.flatMap(({ coco }) => coco ?? []);
  if (format !== 'panoptic') return results;
  const rows = images.flatMap(({ panoptic }) => panoptic ?? []);
  return { images: rows.map(({ image }) => image), annotations: rows.map(({ annotation }) => annotation), categories };
}

const FILE_NAMES = { coco: 'coco_results.json', panoptic: 'panoptic.json', json: 'predictions.json' } as const;

/**
 * Writes the one file of the formats `coco`, `panoptic` and `json`, and prints the last line (all, with `--json`).
 * @returns the exit code: 1 where a picture failed
 */
export async function finishPredictions(
  images: readonly PredictedImage[],
  device: string,
  flags: { format: Format; output: string; json?: boolean },
  categories: PanopticDataset['categories'] = [],
): Promise<number> {
  const reports = images.flatMap(({ report }) => report ?? []);
  const failed = images.flatMap((image) => image.failed ?? []);
  const results = { device, images: reports, failed };
  if (!isDrawn(flags.format)) {
    const path = extname(flags.output) === '.json' ? flags.output : join(flags.output, FILE_NAMES[flags.format]);
    await writeFileAtomic(path, JSON.stringify(fileOf(flags.format, images, results, categories)));
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
    ...segmentsOf(result),
    milliseconds: result.times,
  };
}

function segmentsOf({
  pixels: { panoptic, semantic, semanticClassNames = [], things = [] },
}: Prediction): Pick<ImageReport, 'segments'> {
  const stuff = (label: number, area: number) => ({
    class_name: semanticClassNames[label] ?? `stuff ${label}`,
    class_index: label,
    is_thing: false,
    area,
  });
  if (panoptic)
    return {
      segments: panoptic.segments.map(({ isThing, categoryId, area, score, instanceIndex }) =>
        isThing
          ? { class_name: things[instanceIndex!].className, class_index: categoryId, is_thing: true, area, score: score! }
          : stuff(categoryId, area),
      ),
    };
  if (!semantic) return {};
  const areas = new Map<number, number>();
  for (const label of semantic.labels) areas.set(label, (areas.get(label) ?? 0) + 1);
  return { segments: [...areas].sort(([a], [b]) => a - b).map(([label, area]) => stuff(label, area)) };
}

/** A line for a person. */
export function summary({ file, instances, segments = [], output }: ImageReport): string {
  const objects = instances.map(({ class_name, score }) => `${class_name} ${score.toFixed(2)}`);
  const stuff = segments.filter(({ is_thing }) => !is_thing).map(({ class_name }) => class_name);
  return `${file}: ${[...objects, ...stuff].join(', ') || 'nothing'}${output === undefined ? '' : ` -> ${output}`}`;
}
