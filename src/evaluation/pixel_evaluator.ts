import { IGNORED_LABEL, panopticToSemantic, semanticClassNames, semanticMapPath } from '../data/annotations/semantic_map.js';
import { type PanopticCategoryIds, panopticAnnotation } from '../data/coco/panoptic_results.js';
import { readPanopticPng } from '../data/coco/panoptic_png.js';
import { type PanopticAnnotation, type PanopticDataset, readPanopticDataset } from '../data/coco/read_panoptic.js';
import { readSemanticLabels } from '../data/image_io/read_semantic_labels.js';
import { DatasetError } from '../errors.js';
import type { PixelResults } from '../structures/detected_instances.js';
import type { PanopticFiles } from './panoptic_files.js';
import { type PanopticCounts, PanopticQuality, type PanopticResult } from './panoptic_quality.js';
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

/** What the pixels of one picture add, for `count` of another evaluator of the same classes. */
export interface PixelCounts {
  readonly panoptic?: PanopticCounts;
  /** Cells of the confusion matrices that are not 0. */
  readonly confusion: readonly (readonly [cell: number, pixels: number])[];
  readonly boundaryConfusion: readonly (readonly [cell: number, pixels: number])[];
}

/** The classes that pixels were judged by, as `ofClasses` takes them. */
export interface JudgedClasses {
  /** Of the panoptic file, where there is one. */
  readonly categories?: PanopticDataset['categories'];
  readonly semanticClassNames: readonly string[];
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
    private readonly ids: PanopticCategoryIds,
    readonly classes: JudgedClasses,
    annotations: readonly PanopticAnnotation[] = [],
  ) {
    const { categories, semanticClassNames: classNames } = classes;
    this.annotations = new Map(annotations.map((annotation) => [annotation.image_id, annotation]));
    this.quality = categories && new PanopticQuality(categories);
    this.labels = new SemanticSegmentationEvaluator({ classNames, ignoreLabel: IGNORED_LABEL });
  }

  /** For what others counted, without truth. */
  static ofClasses(classes: JudgedClasses): PixelEvaluator {
    return new PixelEvaluator({}, { things: [], stuff: [] }, classes);
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
    if (!truth.panoptic) return new PixelEvaluator(truth, { things: [], stuff: [] }, { semanticClassNames: names });
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
    const classes = { categories: dataset.categories, semanticClassNames: semanticClassNames(dataset.categories) };
    return new PixelEvaluator(truth, ids, classes, dataset.annotations);
  }

  /**
   * Counts one picture.
   * @returns what was counted, and the panoptic map under the data set's categories, where there is one and a panoptic file
   * @throws DatasetError for a picture without truth, or of another size
   */
  async add(
    image: { readonly id: number; readonly file_name: string },
    found: PixelResults,
  ): Promise<{ counts: PixelCounts; judged?: JudgedPanoptic }> {
    const { categories, semanticClassNames: classNames } = this.classes;
    const annotation = this.annotations.get(image.id);
    if (categories && !annotation)
      throw new DatasetError(`${this.truth.panoptic!.json} has no annotation for image ${image.id} (${image.file_name}).`);
    const png = annotation && (await readPanopticPng(`${this.truth.panoptic!.folder}/${annotation.file_name}`));
    const { semantic, panoptic } = found;
    const labels = new SemanticSegmentationEvaluator({ classNames, ignoreLabel: IGNORED_LABEL });
    if (semantic) {
      const wanted = this.truth.semantic
        ? await readSemanticLabels(semanticMapPath(this.truth.semantic, image.file_name))
        : panopticToSemantic(png!, annotation!.segments_info, categories!);
      checkSize(image.file_name, semantic, wanted);
      labels.add(semantic.labels, wanted.data, semantic.height, semantic.width);
    }
    const pixels = { confusion: filled(labels.confusion), boundaryConfusion: filled(labels.boundaryConfusion) };
    if (!panoptic || !this.quality) {
      this.count(pixels);
      return { counts: pixels };
    }
    checkSize(image.file_name, panoptic, png!);
    const name = annotation!.file_name.replace(/\.[^./\\]*$/, '');
    const judged = panopticAnnotation(panoptic, image.id, `${name}.png`, this.ids);
    const truth = { ids: png!.ids, segments: annotation!.segments_info };
    const prediction = { ids: judged.pixels, segments: judged.annotation.segments_info };
    const quality = this.quality.add(truth, prediction, String(image.id));
    this.count(pixels);
    return { counts: { ...pixels, panoptic: quality }, judged };
  }

  /** Adds what one picture was found to have, by this evaluator or another: pictures in the same order give the same numbers to the last digit. */
  count({ panoptic, confusion, boundaryConfusion }: PixelCounts): void {
    if (panoptic) this.quality?.count(panoptic);
    for (const [cell, pixels] of confusion) this.labels.confusion[cell]! += pixels;
    for (const [cell, pixels] of boundaryConfusion) this.labels.boundaryConfusion[cell]! += pixels;
  }

  evaluate(): PixelEvaluation {
    const judged = this.labels.confusion.some((count) => count > 0);
    return {
      ...(this.quality ? { panoptic: this.quality.result() } : {}),
      ...(judged ? { semantic: this.labels.evaluate() } : {}),
    };
  }
}

/** The cells of a matrix that are not 0. */
function filled(matrix: Float64Array): [number, number][] {
  const cells: [number, number][] = [];
  matrix.forEach((count, cell) => {
    if (count !== 0) cells.push([cell, count]);
  });
  return cells;
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
