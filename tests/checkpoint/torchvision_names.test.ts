import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TensorData } from '../../src/checkpoint/tensor_data.js';
import { convertTorchvision, isTorchvision, torchvisionClassNames } from '../../src/checkpoint/torchvision_names.js';

const shapes = JSON.parse(readFileSync(new URL('../fixtures/torchvision/shapes.json', import.meta.url), 'utf8')) as Record<
  string,
  Record<string, number[]>
>;

/** The names of a published model, its rows, and ones in their places. */
function tensorsOf(model: string): Map<string, TensorData> {
  return new Map(
    Object.entries(shapes[model]!).map(([name, shape]) => {
      const rows = shape.map((n, axis) => (axis === 0 ? n : 1));
      return [name, new TensorData(new Uint8Array(new Float32Array(rows[0] ?? 1).fill(1).buffer), 'F32', rows)];
    }),
  );
}

describe("torchvision's names", () => {
  it.each([
    'fasterrcnn_resnet50_fpn',
    'maskrcnn_resnet50_fpn',
    'keypointrcnn_resnet50_fpn',
    'fasterrcnn_resnet50_fpn_v2',
    'maskrcnn_resnet50_fpn_v2',
  ])('all of %s are known, and no two become one', (model) => {
    const tensors = tensorsOf(model);
    expect(isTorchvision(tensors)).toBe(true);
    const names = [...convertTorchvision(tensors).tensors.keys()];
    expect(
      names.filter((name) => !/^(backbone\.(bottom_up|fpn_)|proposal_generator\.|roi_heads\.(box|mask|keypoint)_)/.test(name)),
    ).toEqual([]);
    expect(
      names.filter((name) => /backbone\.body|inner_blocks|fc6|mask_predictor|keypoint_predictor|rpn\.head/.test(name)),
    ).toEqual([]);
    expect(names.length).toBe(tensors.size);
  });

  it('the background goes last in the scores and away from boxes and masks', () => {
    const row = (values: number[], shape: number[]) =>
      new TensorData(new Uint8Array(Float32Array.from(values).buffer), 'F32', shape);
    const { tensors, metadata } = convertTorchvision(
      new Map([
        ['roi_heads.box_predictor.cls_score.weight', row([0, 0, 1, 1, 2, 2], [3, 2])],
        ['roi_heads.box_predictor.cls_score.bias', row([0, 1, 2], [3])],
        ['roi_heads.box_predictor.bbox_pred.bias', row([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], [12])],
        ['roi_heads.mask_predictor.mask_fcn_logits.bias', row([9, 1, 2], [3])],
      ]),
    );
    const values = (name: string) => [...tensors.get(`roi_heads.${name}`)!.toFloat32()];
    expect(values('box_predictor.cls_score.weight')).toEqual([1, 1, 2, 2, 0, 0]);
    expect(values('box_predictor.cls_score.bias')).toEqual([1, 2, 0]);
    expect(values('box_predictor.bbox_pred.bias')).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(values('mask_head.predictor.bias')).toEqual([1, 2]);
    expect(metadata).toEqual({ conventions: 'torchvision' });
  });

  it('one class is a person where there are keypoints, else of no name', () => {
    const classNames = (model: string) => {
      const tensors = tensorsOf(model);
      const two = new TensorData(new Uint8Array(8), 'F32', [2, 1]);
      tensors.set('roi_heads.box_predictor.cls_score.weight', two);
      return convertTorchvision(tensors).metadata['class_names'];
    };
    expect(classNames('keypointrcnn_resnet50_fpn')).toBe('["person"]');
    expect(classNames('maskrcnn_resnet50_fpn')).toBeUndefined();
  });

  it('the classes are the category ids of COCO', () => {
    expect(torchvisionClassNames).toHaveLength(90);
    expect([0, 11, 12, 89].map((i) => torchvisionClassNames[i])).toEqual(['person', 'N/A', 'stop sign', 'toothbrush']);
    expect(torchvisionClassNames.filter((name) => name === 'N/A')).toHaveLength(10);
  });
});
