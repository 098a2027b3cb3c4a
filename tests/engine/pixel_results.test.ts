import { describe, expect, it } from 'vitest';
import { getConfig } from '../../src/config/index.js';
import { pixelResults } from '../../src/engine/pixel_results.js';
import { cocoStuffClassNames } from '../../src/model_zoo/coco_classes.js';
import { InstanceMask } from '../../src/structures/masks/lazy_mask.js';

const semantic = { height: 4, width: 4, labels: new Int32Array(16).fill(40) };
// A mask that fills its box: the upper half of the picture.
const mask = new InstanceMask(new Float32Array(28 * 28).fill(1), [0, 0, 4, 2], 4, 4);
const thing = { className: 'cat', classIndex: 15, score: 0.9, box: [0, 0, 4, 2] as const, mask };

describe('pixelResults', () => {
  it('merges things and stuff for a panoptic model, with COCO names', () => {
    const cfg = getConfig('COCO-PanopticSegmentation/panoptic_fpn_R_50_3x', ['MODEL.PANOPTIC_FPN.COMBINE.STUFF_AREA_LIMIT=4']);
    const { panoptic, semanticClassNames } = pixelResults(semantic, [thing], cfg);
    expect(panoptic?.segments.map(({ isThing, categoryId, area }) => [isThing, categoryId, area])).toEqual([
      [true, 15, 8],
      [false, 40, 8],
    ]);
    expect(semanticClassNames?.[40]).toBe('sky');
    expect(cocoStuffClassNames.length).toBe(54);
  });

  it('gives the labels alone for a semantic model, and nothing for the others', () => {
    const cfg = getConfig('COCO-PanopticSegmentation/panoptic_fpn_R_50_3x', ['MODEL.META_ARCHITECTURE=SemanticSegmentor']);
    expect(pixelResults(semantic, [], cfg).panoptic).toBeUndefined();
    expect(pixelResults(undefined, [thing], cfg)).toEqual({});
  });
});
