import type { Config } from '../config/schema.js';
import type { SemanticMap } from '../meta_arch/meta_architecture.js';
import { combinePanoptic, panopticOptions } from '../semantic/combine_panoptic.js';
import { cocoStuffClassNames } from '../model_zoo/coco_classes.js';
import type { Instance, PixelResults } from '../structures/detected_instances.js';

/** The semantic map of a picture and, for models that find objects too, the panoptic map made of both. */
export function pixelResults(semantic: SemanticMap | undefined, instances: readonly Instance[], config: Config): PixelResults {
  if (!semantic) return {};
  const semanticClassNames = semanticNames(config.MODEL.SEM_SEG_HEAD.NUM_CLASSES);
  if (config.MODEL.META_ARCHITECTURE !== 'PanopticFPN') return { semantic, semanticClassNames };
  const { height, width, labels } = semantic;
  const things = instances.flatMap(({ score, classIndex, mask }) =>
    mask ? [{ score, categoryId: classIndex, bitmap: () => mask.toBitmap() }] : [],
  );
  return { semantic, semanticClassNames, panoptic: combinePanoptic(things, labels, height, width, panopticOptions(config)) };
}

/** COCO's where the number fits, else numbers; class 0 is everything that is counted. */
function semanticNames(count: number): readonly string[] {
  if (count === cocoStuffClassNames.length) return cocoStuffClassNames;
  return Array.from({ length: count }, (_, i) => (i === 0 ? 'things' : `stuff ${i}`));
}
