import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../atomic_file.js';
import type { CocoDataset } from '../data/coco/coco_types.js';
import { encodePanopticPng } from '../data/coco/panoptic_png.js';
import { type PanopticAnnotation, type PanopticDataset, readPanopticDataset } from '../data/coco/read_panoptic.js';
import { readSemanticLabels } from '../data/image_io/read_semantic_labels.js';
import { semanticMapPath } from '../data/annotations/semantic_map.js';
import { hasPixels } from '../engine/evaluate_model.js';
import { categoriesOfClasses } from '../engine/predict_dataset.js';
import type { Predictor } from '../engine/predictor.js';
import { ArgumentError, DatasetError } from '../errors.js';
import { evaluatePanopticFiles, type PanopticFiles } from '../evaluation/panoptic_files.js';
import { type JudgedClasses, type PixelCounts, PixelEvaluator, type PixelTruth } from '../evaluation/pixel_evaluator.js';
import { SemanticSegmentationEvaluator } from '../evaluation/semantic_segmentation.js';
import type { Prediction } from '../structures/prediction.js';
import type { JudgedPixels } from './judge.js';
import { panopticFiles } from './panoptic_files.js';

/** The options that name what pixels are judged by. */
export interface PixelFlags {
  panopticJson?: string;
  panopticImages?: string;
  semantic?: string;
}

/** What pixels are judged by; undefined where no option says it. */
export function pixelTruth({ panopticJson, panopticImages, semantic }: PixelFlags): PixelTruth | undefined {
  const panoptic = panopticFiles(panopticJson, panopticImages);
  if (!panoptic && semantic === undefined) return undefined;
  return { ...(panoptic ? { panoptic } : {}), ...(semantic === undefined ? {} : { semantic }) };
}

/** The pictures of a panoptic file as a data set without objects. */
export async function panopticImages(json: string): Promise<CocoDataset> {
  const { images, categories } = await readPanopticDataset(json);
  return { images, annotations: [], categories: categories.filter(({ isthing }) => isthing === 1) };
}

/** What the pixels of a picture gave: a row of `panoptic_results.json` where there is one. */
export interface JudgedPicture {
  readonly counts: PixelCounts;
  readonly panoptic?: { readonly image: PanopticDataset['images'][number]; readonly annotation: PanopticAnnotation };
}

/** Judges the pixels of predictions as they come and, with a folder, keeps the panoptic maps as PNGs. */
export class PixelJudge {
  private readonly pictures: JudgedPicture[] = [];

  private constructor(
    private readonly evaluator: PixelEvaluator,
    private readonly output: string | undefined,
  ) {}

  /** @throws ArgumentError for a model that says nothing of pixels */
  static async open(truth: PixelTruth, predictor: Predictor, output: string | undefined): Promise<PixelJudge> {
    const { META_ARCHITECTURE: kind } = predictor.config.MODEL;
    if (!hasPixels(kind))
      throw new ArgumentError(
        `The model is a ${kind}, which finds objects only; leave out --panoptic-json and --semantic, or name a panoptic or semantic model.`,
      );
    return new PixelJudge(await PixelEvaluator.open(truth, predictor, categoriesOfClasses), output);
  }

  get classes(): JudgedClasses {
    return this.evaluator.classes;
  }

  async add(image: CocoDataset['images'][number], { pixels, height, width }: Prediction): Promise<JudgedPicture> {
    const { counts, judged } = await this.evaluator.add(image, pixels);
    const picture = { counts, ...(judged ? { panoptic: { image, annotation: judged.annotation } } : {}) };
    this.pictures.push(picture);
    if (judged && this.output !== undefined) {
      const path = join(this.output, 'panoptic_results', judged.annotation.file_name);
      await writeFileAtomic(path, await encodePanopticPng({ ids: judged.pixels, height, width }));
    }
    return picture;
  }

  async finish(): Promise<JudgedPixels> {
    await writePanopticResults(this.output, this.pictures, this.classes);
    return judgedPixels(this.evaluator);
  }
}

/** The pictures of all shards as one run judges them: in the order given, which is by ascending id. */
export async function judgePictures(
  pictures: readonly JudgedPicture[],
  classes: JudgedClasses,
  output: string,
): Promise<JudgedPixels> {
  const evaluator = PixelEvaluator.ofClasses(classes);
  for (const { counts } of pictures) evaluator.count(counts);
  await writePanopticResults(output, pictures, classes);
  return judgedPixels(evaluator);
}

function judgedPixels(evaluator: PixelEvaluator): JudgedPixels {
  const { categories = [], semanticClassNames } = evaluator.classes;
  return { evaluation: evaluator.evaluate(), categories, semanticClassNames };
}

/** `panoptic_results.json` beside its PNGs. */
async function writePanopticResults(
  output: string | undefined,
  pictures: readonly JudgedPicture[],
  { categories = [] }: JudgedClasses,
): Promise<void> {
  const rows = pictures.flatMap(({ panoptic }) => panoptic ?? []);
  if (output === undefined || rows.length === 0) return;
  const content = { images: rows.map(({ image }) => image), annotations: rows.map(({ annotation }) => annotation), categories };
  await writeFileAtomic(join(output, 'panoptic_results.json'), JSON.stringify(content));
}

/** Judges predictions that lie in files: a panoptic JSON file beside its PNGs, or a folder of semantic maps. */
export async function judgePixelFiles(
  results: string,
  truth: PixelTruth,
  onProgress: (done: number, total: number) => void,
): Promise<JudgedPixels> {
  if (truth.panoptic && truth.semantic !== undefined)
    throw new ArgumentError('--results is one kind of maps: give --panoptic-json or --semantic, not both.');
  if (truth.panoptic) {
    const { categories } = await readPanopticDataset(truth.panoptic.json);
    const found = panopticFiles(results, undefined) as PanopticFiles;
    return {
      evaluation: { panoptic: await evaluatePanopticFiles(truth.panoptic, found, onProgress) },
      categories,
      semanticClassNames: [],
    };
  }
  const folder = truth.semantic!;
  const names = (await readdir(folder)).filter((name) => /\.png$/i.test(name)).sort();
  if (names.length === 0) throw new DatasetError(`${folder} has no semantic maps (*.png).`);
  const evaluator = new SemanticSegmentationEvaluator({ classNames: LABELS, boundaries: false });
  const seen = new Set<number>();
  for (const [i, name] of names.entries()) {
    const wanted = await readSemanticLabels(join(folder, name));
    const found = await readSemanticLabels(semanticMapPath(results, name));
    if (found.width !== wanted.width || found.height !== wanted.height)
      throw new DatasetError(
        `${name} is ${found.width} x ${found.height} pixels in ${results}, ${wanted.width} x ${wanted.height} in ${folder}; they must be equal.`,
      );
    evaluator.add(found.data, wanted.data, wanted.height, wanted.width);
    for (const map of [found, wanted]) for (const label of map.data) seen.add(label);
    onProgress(i + 1, names.length);
  }
  return {
    evaluation: { semantic: evaluator.evaluate() },
    categories: [],
    semanticClassNames: LABELS.filter((_, label) => seen.has(label)),
  };
}

/** Maps of bytes do not name their classes. */
const LABELS = Array.from({ length: 255 }, (_, label) => `class ${label}`);
