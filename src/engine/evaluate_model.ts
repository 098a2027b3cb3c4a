import type { Config } from '../config/index.js';
import type { CocoDataset } from '../data/coco/coco_types.js';
import { readImage } from '../data/image_io/read_image.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import { resizeBilinear, resizeShortestEdgeShape } from '../data/resize/resize.js';
import { CocoEvaluator } from '../evaluation/coco_evaluator.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import { postprocess } from '../meta_arch/postprocess.js';
import { instancesOf } from '../structures/detected_instances.js';
import { Prediction } from '../structures/prediction.js';
import { type BatchPredictor, predictDataset } from './predict_dataset.js';
import { swapRedBlue } from './pixel_input.js';
import type { AboutModel } from './training_checkpoint.js';

/** Detects objects in one RGB picture with a model that is still being trained (not folded). */
export async function detect(
  model: MetaArchitecture,
  image: Image,
  config: Config,
  classNames: readonly string[],
): Promise<Prediction> {
  const { MIN_SIZE_TEST, MAX_SIZE_TEST, FORMAT } = config.INPUT;
  const [height, width] =
    MIN_SIZE_TEST > 0
      ? resizeShortestEdgeShape(image.height, image.width, MIN_SIZE_TEST, MAX_SIZE_TEST)
      : [image.height, image.width];
  const data = height === image.height && width === image.width ? image.data : resizeBilinear(image, height, width);
  const { instances, times } = await model.infer([{ data: FORMAT === 'RGB' ? data : swapRedBlue(data), height, width }]);
  const found = postprocess(instances[0], [height, width], [image.height, image.width]);
  return new Prediction(instancesOf(found, image, classNames), image, { decode: 0, resize: 0, ...times });
}

/**
 * Percentages by task and metric (`bbox/AP`, `segm/AP50`, `segm/AP-cat`) of a model on a COCO data set. As in Detectron2, NaN stands for what
 * the data set has no objects of, and for everything where the model finds nothing at all.
 * @param signal ends it between pictures with the signal's reason
 */
export async function evaluateModel(
  model: MetaArchitecture,
  dataset: CocoDataset,
  images: string,
  { config, classNames }: Pick<AboutModel, 'config' | 'classNames'>,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const tasks = config.MODEL.MASK_ON ? (['bbox', 'segm'] as const) : (['bbox'] as const);
  const predictor: BatchPredictor = {
    classNames,
    predict: (files) =>
      Promise.all(files.map(async (file) => detect(model, await readImage(file, { format: 'RGB' }), config, classNames))),
  };
  const evaluator = new CocoEvaluator(dataset, tasks);
  evaluator.add(await predictDataset(predictor, dataset, images, signal ? { signal } : {}));
  const { results } = evaluator.evaluate();
  return Object.fromEntries(
    Object.entries(results).flatMap(([task, values]) =>
      Object.entries(values).map(([name, value]) => [`${task}/${name}`, value]),
    ),
  );
}
