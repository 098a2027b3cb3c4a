import { join } from 'node:path';
import type { Config } from '../config/index.js';
import type { CocoDataset } from '../data/coco/coco_types.js';
import { readImage } from '../data/image_io/read_image.js';
import type { Image } from '../data/image_io/pixel_formats.js';
import { resizeBilinear, resizeShortestEdgeShape } from '../data/resize/resize.js';
import { CocoEvaluator } from '../evaluation/coco_evaluator.js';
import type { ProposalNetwork } from '../meta_arch/proposal_network.js';
import { postprocess } from '../meta_arch/postprocess.js';
import { instancesOf } from '../structures/detected_instances.js';
import { Prediction } from '../structures/prediction.js';
import { swapRedBlue } from './pixel_input.js';
import type { AboutModel } from './training_checkpoint.js';

/** Detects objects in one RGB picture with a model that is still being trained (not folded). */
export async function detect(
  model: ProposalNetwork,
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

/** Percentages by task and metric (`bbox/AP`, `segm/AP50`, `segm/AP-cat`) of a model on a COCO data set; NaN is absent. */
export async function evaluateModel(
  model: ProposalNetwork,
  dataset: CocoDataset,
  images: string,
  { config, classNames }: Pick<AboutModel, 'config' | 'classNames'>,
): Promise<Record<string, number>> {
  // Class indices follow the ascending ids of whichever file it is.
  const categoryIds = dataset.categories.map(({ id }) => id).sort((a, b) => a - b);
  const tasks = config.MODEL.MASK_ON ? (['bbox', 'segm'] as const) : (['bbox'] as const);
  const evaluator = new CocoEvaluator(dataset, tasks);
  for (const { id, file_name: file } of dataset.images) {
    const image = await readImage(join(images, file), { format: 'RGB' });
    const found = await detect(model, image, config, classNames);
    evaluator.add(found.toCoco({ imageId: id, categoryIds }).map((result) => ({ ...result })));
  }
  const { results } = evaluator.evaluate();
  return Object.fromEntries(
    Object.entries(results).flatMap(([task, values]) =>
      Object.entries(values).map(([name, value]) => [`${task}/${name}`, value]),
    ),
  );
}
