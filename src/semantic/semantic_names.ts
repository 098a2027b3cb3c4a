import { cocoStuffClassNames } from '../model_zoo/coco_classes.js';

/** COCO's where the number fits, else numbers; class 0 is everything that is counted. */
export function semanticNames(count: number): readonly string[] {
  if (count === cocoStuffClassNames.length) return cocoStuffClassNames;
  return Array.from({ length: count }, (_, i) => (i === 0 ? 'things' : `stuff ${i}`));
}
