import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { convertMatterport, isMatterport } from '../../src/checkpoint/matterport_names.js';
import { readCheckpoint } from '../../src/checkpoint/read.js';
import { TensorData } from '../../src/checkpoint/tensor_data.js';
import { readFileSync } from 'node:fs';
import { readHdf5 } from '../../src/checkpoint/hdf5.js';
import { CheckpointError } from '../../src/errors.js';

const file = fileURLToPath(new URL('../fixtures/matterport/mask_rcnn.h5', import.meta.url));
const tensorsOf = () => readHdf5(new Uint8Array(readFileSync(file))).tensors;
const values = (tensor: TensorData | undefined) => [...tensor!.toFloat32()];

describe("Matterport's names", () => {
  it('become those of Detectron2, every layer once', async () => {
    const { tensors, metadata, format } = await readCheckpoint(file);
    expect(format).toBe('hdf5');
    expect(metadata).toEqual({ conventions: 'matterport' });
    const names = [...tensors.keys()];
    expect(
      names.filter((name) => !/^(backbone\.(bottom_up|fpn_)|proposal_generator\.|roi_heads\.(box|mask)_)/.test(name)),
    ).toEqual([]);
    // 53 convolutions with norms (5 tensors), 8 of the pyramid, 3 of the RPN, 4 of the box head, 6 of the mask head (2 tensors each).
    expect(names).toHaveLength(53 * 5 + 2 * (8 + 3 + 4 + 6));
    expect(tensors.get('roi_heads.box_head.fc1.weight')!.shape).toEqual([20, 12 * 49]);
    expect(tensors.get('roi_heads.mask_head.deconv.weight')!.shape).toEqual([12, 12, 2, 2]);
    expect(tensors.get('roi_heads.mask_head.predictor.weight')!.shape).toEqual([3, 12, 1, 1]);
    expect(tensors.get('proposal_generator.rpn_head.objectness_logits.weight')!.shape).toEqual([3, 16, 1, 1]);
  });

  it('biases and epsilon of the backbone go into the statistics', () => {
    const before = tensorsOf();
    const { tensors } = convertMatterport(before);
    const old = (name: string) => values(before.get(name));
    const name = 'backbone.bottom_up.res3.0.shortcut.norm';
    const bias = old('res3a_branch1/res3a_branch1/bias:0');
    const mean = old('bn3a_branch1/bn3a_branch1/moving_mean:0');
    expect(values(tensors.get(`${name}.running_mean`))).toEqual(mean.map((m, i) => Math.fround(m - bias[i]!)));
    const variance = old('bn3a_branch1/bn3a_branch1/moving_variance:0');
    const expected = variance.map((v) => Math.fround(v + (1e-3 - 1e-5)));
    expect(values(tensors.get(`${name}.running_var`))).toEqual(expected);
    const kernel = before.get('res3a_branch1/res3a_branch1/kernel:0')!;
    const [, , inputs, outputs] = kernel.shape as [number, number, number, number];
    const [was, is] = [values(kernel), values(tensors.get('backbone.bottom_up.res3.0.shortcut.weight'))];
    for (let i = 0; i < inputs; i++) for (let o = 0; o < outputs; o++) expect(is[o * inputs + i]).toBe(was[i * outputs + o]);
  });

  it('the scores of an anchor become their difference, y and x change places, the background moves', () => {
    const before = tensorsOf();
    const { tensors } = convertMatterport(before);
    const old = (name: string) => values(before.get(name));
    const score = old('rpn_model/rpn_class_raw/bias:0');
    expect(values(tensors.get('proposal_generator.rpn_head.objectness_logits.bias'))).toEqual(
      [0, 1, 2].map((a) => Math.fround(score[2 * a + 1]! - score[2 * a]!)),
    );
    const delta = old('rpn_model/rpn_bbox_pred/bias:0');
    expect(values(tensors.get('proposal_generator.rpn_head.anchor_deltas.bias')).slice(0, 4)).toEqual(
      [1, 0, 3, 2].map((k) => delta[k]),
    );
    const [background, ...classes] = old('mrcnn_class_logits/mrcnn_class_logits/bias:0');
    expect(values(tensors.get('roi_heads.box_predictor.cls_score.bias'))).toEqual([...classes, background]);
    const boxes = old('mrcnn_bbox_fc/mrcnn_bbox_fc/bias:0');
    expect(values(tensors.get('roi_heads.box_predictor.bbox_pred.bias')).slice(0, 4)).toEqual([5, 4, 7, 6].map((k) => boxes[k]));
  });

  it('lie below other groups in a file of model.save, beside those of the optimizer', () => {
    const nested = new Map<string, TensorData>();
    for (const [path, tensor] of tensorsOf()) nested.set(`model_weights/mask_rcnn/${path.replace(':0', '')}`, tensor);
    nested.set('optimizer_weights/SGD/conv1/kernel:0', new TensorData(new Uint8Array(4), 'F32', [1]));
    expect(isMatterport(nested)).toBe(true);
    const { tensors, ignored } = convertMatterport(nested);
    expect(ignored).toEqual(['optimizer_weights/SGD/conv1/kernel:0']);
    const plain = convertMatterport(tensorsOf()).tensors;
    expect([...tensors.keys()]).toEqual([...plain.keys()]);
    for (const [name, tensor] of plain) expect(values(tensors.get(name)), name).toEqual(values(tensor));
  });

  it('a layer that is missing is named', () => {
    const tensors = tensorsOf();
    tensors.delete('rpn_model/rpn_bbox_pred/kernel:0');
    expect(() => convertMatterport(tensors)).toThrow(/without the kernel of the layer 'rpn_bbox_pred'/);
    const other = tensorsOf();
    other.delete('bn4c_branch2b/bn4c_branch2b/gamma:0');
    expect(() => convertMatterport(other)).toThrow(CheckpointError);
  });

  it('a classifier of Keras is none', () => {
    const tensors = new Map([...tensorsOf()].filter(([name]) => /^(conv1|bn|res)/.test(name)));
    expect(isMatterport(tensors)).toBe(false);
  });
});
