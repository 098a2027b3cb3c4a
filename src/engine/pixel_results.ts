import type { Config } from '../config/schema.js';
import type { SemanticMap } from '../meta_arch/meta_architecture.js';
import { combinePanoptic, panopticOptions } from '../semantic/combine_panoptic.js';
import { semanticNames } from '../semantic/semantic_names.js';
import type { Instance, PixelResults } from '../structures/detected_instances.js';

/** The semantic map of a picture and, for models that find objects too, the panoptic map made of both. */
export function pixelResults(
  semantic: SemanticMap | undefined,
  instances: readonly Instance[],
  config: Config,
  semanticClassNames: readonly string[] = semanticNames(config.MODEL.SEM_SEG_HEAD.NUM_CLASSES),
): PixelResults {
  if (!semantic) return {};
  if (config.MODEL.META_ARCHITECTURE !== 'PanopticFPN') return { semantic, semanticClassNames };
  const { height, width, labels } = semantic;
  const masked = instances.filter(({ mask }) => mask !== undefined);
  const things = masked.map(({ score, classIndex, mask }) => ({
    score,
    categoryId: classIndex,
    bitmap: () => mask!.toBitmap(),
  }));
  const panoptic = combinePanoptic(things, labels, height, width, panopticOptions(config));
  return { semantic, semanticClassNames, panoptic, things: masked };
}
