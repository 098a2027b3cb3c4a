import { IGNORED_LABEL, panopticToSemantic, semanticClassNames, semanticMapPath } from '../data/annotations/semantic_map.js';
import { type PanopticCategoryIds, panopticAnnotation } from '../data/coco/panoptic_results.js';
import { readPanopticPng } from '../data/coco/panoptic_png.js';
import { type PanopticAnnotation, type PanopticDataset, readPanopticDataset } from '../data/coco/read_panoptic.js';
import { readSemanticLabels } from '../data/image_io/read_semantic_labels.js';
import { DatasetError } from '../errors.js';
import type { PixelResults } from '../structures/detected_instances.js';
import type { PanopticFiles } from './panoptic_files.js';
import { PanopticQuality, type PanopticResult } from './panoptic_quality.js';
import { SemanticSegmentationEvaluator } from './semantic_segmentation.js';

/** What the pixels of a prediction are judged by; one of the two at least. */
export interface PixelTruth {
  /** Gives panoptic quality, and the classes of the pixels where there are no maps of them. */
  readonly panoptic?: PanopticFiles;
  /** Folder of semantic maps: `NAME.png` with the class of each pixel for the picture `NAME.jpg`, 255 ignored. */
  readonly semantic?: string;
}

/** What a model says of itself. */
export interface PixelClasses {
  /** Of the things; the category of each is found by `categoryOfThing`. */
  readonly classNames: readonly string[];
  /** The first is all things. */
  readonly semanticClassNames: readonly string[];
}

/** What {@link PixelEvaluator.evaluate} returns. */
export interface PixelEvaluation {
  readonly panoptic?: PanopticResult;
  /** Percentages by Detectron2's names: mIoU, fwIoU, IoU-sky ... */
  readonly semantic?: Record<string, number>;
}

/** Counts that several processes add up. */
export interface PixelCounts {
  readonly panoptic: readonly number[];
  readonly confusion: readonly number[];
  readonly boundaryConfusion: readonly number[];
}

/** A predicted panoptic map under the categories of the data set: a row of a panoptic file, and the pixels of its PNG. */
export interface JudgedPanoptic {
  readonly annotation: PanopticAnnotation;
  readonly pixels: Uint32Array;
}

/** Judges panoptic and semantic maps picture by picture, as Detectron2's `COCOPanopticEvaluator` and `SemSegEvaluator` do. Node only. */
export class PixelEvaluator {
  private readonly quality: PanopticQuality | undefined;
  private readonly labels: SemanticSegmentationEvaluator;
  private readonly annotations: ReadonlyMap<number, PanopticAnnotation>;

  private constructor(
    private readonly truth: PixelTruth,
    /** The panoptic file, where there is one. */
    readonly dataset: PanopticDataset | undefined,
    private readonly ids: PanopticCategoryIds,
    private readonly classNames: readonly string[],
  ) {
    this.annotations = new Map(dataset?.annotations.map((annotation) => [annotation.image_id, annotation]));
    this.quality = dataset && new PanopticQuality(dataset.categories);
    this.labels = new SemanticSegmentationEvaluator({ classNames, ignoreLabel: IGNORED_LABEL });
  }

  /**
   * Reads the panoptic file, where there is one.
   * @param categoriesOf the category ids of the model's things among those of a data set
   * @throws DatasetError where its stuff is not the model's
   */
  static async open(
    truth: PixelTruth,
    { classNames, semanticClassNames: names }: PixelClasses,
    categoriesOf: (classNames: readonly string[], things: PanopticDataset['categories']) => readonly (number | undefined)[],
  ): Promise<PixelEvaluator> {
    if (!truth.panoptic) return new PixelEvaluator(truth, undefined, { things: [], stuff: [] }, names);
    const dataset = await readPanopticDataset(truth.panoptic.json);
    const stuff = dataset.categories.filter(({ isthing }) => isthing === 0);
    if (stuff.length + 1 !== names.length)
      throw new DatasetError(
        `${truth.panoptic.json} has ${stuff.length} stuff categories; the model has ${names.length} semantic classes, of which the first is all things ` +
          `(MODEL.SEM_SEG_HEAD.NUM_CLASSES): expected ${names.length - 1}.`,
      );
    const things = dataset.categories.filter(({ isthing }) => isthing === 1);
    const ids = {
      things: classNames.length === 0 ? [] : categoriesOf(classNames, things),
      stuff: [undefined, ...stuff.map(({ id }) => id)],
    };
    return new PixelEvaluator(truth, dataset, ids, semanticClassNames(dataset.categories));
  }

  /**
   * Counts one picture.
   * @returns the panoptic map under the data set's categories, where there is one and a panoptic file
   * @throws DatasetError for a picture without truth, or of another size
   */
  async add(
    image: { readonly id: number; readonly file_name: string },
    found: PixelResults,
  ): Promise<JudgedPanoptic | undefined> {
    const annotation = this.annotations.get(image.id);
    if (this.dataset && !annotation)
      throw new DatasetError(`${this.truth.panoptic!.json} has no annotation for image ${image.id} (${image.file_name}).`);
    const png = annotation && (await readPanopticPng(`${this.truth.panoptic!.folder}/${annotation.file_name}`));
    const { semantic, panoptic } = found;
    if (semantic) {
      const wanted = this.truth.semantic
        ? await readSemanticLabels(semanticMapPath(this.truth.semantic, image.file_name))
        : panopticToSemantic(png!, annotation!.segments_info, this.dataset!.categories);
      checkSize(image.file_name, semantic, wanted);
      this.labels.add(semantic.labels, wanted.data, semantic.height, semantic.width);
    }
    if (!panoptic || !this.quality) return undefined;
    checkSize(image.file_name, panoptic, png!);
    const name = annotation!.file_name.replace(/\.[^./\\]*$/, '');
    const judged = panopticAnnotation(panoptic, image.id, `${name}.png`, this.ids);
    const truth = { ids: png!.ids, segments: annotation!.segments_info };
    this.quality.add(truth, { ids: judged.pixels, segments: judged.annotation.segments_info }, String(image.id));
    return judged;
  }

  /** What was counted so far, for `merge`. */
  get counts(): PixelCounts {
    const { confusion, boundaryConfusion } = this.labels;
    return {
      panoptic: this.quality?.counts ?? [],
      confusion: [...confusion],
      boundaryConfusion: [...boundaryConfusion],
    };
  }

  /** Adds what another evaluator of the same truth counted. */
  merge({ panoptic, confusion, boundaryConfusion }: PixelCounts): void {
    this.quality?.addCounts(panoptic);
    confusion.forEach((count, i) => (this.labels.confusion[i]! += count));
    boundaryConfusion.forEach((count, i) => (this.labels.boundaryConfusion[i]! += count));
  }

  evaluate(): PixelEvaluation {
    const judged = this.labels.confusion.some((count) => count > 0);
    return {
      ...(this.quality ? { panoptic: this.quality.result() } : {}),
      ...(judged ? { semantic: this.labels.evaluate() } : {}),
    };
  }

  /** By semantic class, as the panoptic file has them, else the model. */
  get semanticClassNames(): readonly string[] {
    return this.classNames;
  }
}

/** Percentages by task and name, as Detectron2 logs them: `panoptic_seg/PQ`, `sem_seg/mIoU`. */
export function pixelPercentages({ panoptic, semantic }: PixelEvaluation): Record<string, number> {
  const named = (task: string, values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([name, value]) => [`${task}/${name}`, value] as const);
  return Object.fromEntries([
    ...named('panoptic_seg', panoptic?.percentages ?? {}),
    ...named('sem_seg', semantic ?? {}).filter(([name]) => !/Boundary|B-Iou/.test(name)),
  ]);
}

interface Size {
  readonly height: number;
  readonly width: number;
}

function checkSize(name: string, found: Size, truth: Size): void {
  if (found.height !== truth.height || found.width !== truth.width)
    throw new DatasetError(
      `${name}: the picture is ${found.width} x ${found.height} pixels, its truth ${truth.width} x ${truth.height}; they must be equal.`,
    );
}
