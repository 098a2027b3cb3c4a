import type { CocoDataset } from '../data/coco/coco_types.js';
import { readImage } from '../data/image_io/read_image.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import { CocoEvaluator } from '../evaluation/coco_evaluator.js';
import type { IouType } from '../evaluation/evaluation_parameters.js';
import type { MetaArchitecture } from '../meta_arch/meta_architecture.js';
import { postprocess } from '../meta_arch/postprocess.js';
import { instancesOf } from '../structures/detected_instances.js';
import { Prediction } from '../structures/prediction.js';
import { type BatchPredictor, predictDataset } from './predict_dataset.js';
import { networkInput } from './network_input.js';
import type { AboutModel } from './training_checkpoint.js';

/** Detects objects in one RGB picture with a model that is still being trained (not folded). */
export async function detect(
  model: MetaArchitecture,
  image: Image,
  { config, classNames, keypointNames }: Pick<AboutModel, 'config' | 'classNames' | 'keypointNames'>,
): Promise<Prediction> {
  const input = networkInput(image, config);
  const { instances, times } = await model.infer([input]);
  const found = postprocess(instances[0], [input.height, input.width], [image.height, image.width]);
  return new Prediction(instancesOf(found, image, classNames, config.MODEL.CONVENTIONS, keypointNames), image, {
    decode: 0,
    resize: 0,
    ...times,
  });
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
  about: Pick<AboutModel, 'config' | 'classNames' | 'keypointNames'>,
  signal?: AbortSignal,
): Promise<Record<string, number>> {
  const { MODEL, TEST } = about.config;
  const tasks: IouType[] = [
    'bbox',
    ...(MODEL.MASK_ON ? ['segm' as const] : []),
    ...(MODEL.KEYPOINT_ON ? ['keypoints' as const] : []),
  ];
  const predictor: BatchPredictor = {
    classNames: about.classNames,
    predict: (files) => Promise.all(files.map(async (file) => detect(model, await readImage(file, { format: 'RGB' }), about))),
  };
  const evaluator = new CocoEvaluator(
    dataset,
    tasks,
    TEST.KEYPOINT_OKS_SIGMAS.length > 0 ? { keypointSigmas: TEST.KEYPOINT_OKS_SIGMAS } : {},
  );
  evaluator.add(await predictDataset(predictor, dataset, images, signal ? { signal } : {}));
  const { results } = evaluator.evaluate();
  return Object.fromEntries(
    Object.entries(results).flatMap(([task, values]) =>
      Object.entries(values).map(([name, value]) => [`${task}/${name}`, value]),
    ),
  );
}
