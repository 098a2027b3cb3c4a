import { describe, expect, it } from 'vitest';
import { loadCheckpoint } from '../../src/checkpoint/load.js';
import type { ModelParameter } from '../../src/checkpoint/load.js';
import type { Checkpoint } from '../../src/checkpoint/read.js';
import { formatLoadReport } from '../../src/checkpoint/report.js';
import { TensorData } from '../../src/checkpoint/tensor_data.js';
import { ArgumentError, CheckpointError } from '../../src/errors.js';

function checkpointOf(shapes: Record<string, number[]>, more: Partial<Checkpoint> = {}): Checkpoint {
  const tensors = new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i + 0.5);
      return [name, new TensorData(new Uint8Array(values.buffer), 'F32', shape)] as const;
    }),
  );
  return { source: 'w.pkl', format: 'detectron2-pkl', tensors, metadata: {}, ignored: [], ...more };
}

function model(shapes: Record<string, number[]>): { parameters: ModelParameter[]; values: Map<string, number[]> } {
  const values = new Map<string, number[]>();
  const parameters = Object.entries(shapes).map(([name, shape]) => ({
    name,
    shape,
    set: (v: Float32Array) => void values.set(name, [...v]),
  }));
  return { parameters, values };
}

const shapes = { 'backbone.conv.weight': [2, 1, 1, 2], 'backbone.conv.bias': [2], 'head.fc.weight': [3, 2], 'head.fc.bias': [3] };

describe('loadCheckpoint', () => {
  it('gives every parameter its values and reports the rest', () => {
    const { parameters, values } = model(shapes);
    const checkpoint = checkpointOf(
      {
        ...shapes,
        pixel_mean: [3, 1, 1],
        'proposal_generator.anchor_generator.cell_anchors.0': [3, 4],
        'x.num_batches_tracked': [],
        extra: [1],
      },
      { ignored: ['optimizer'] },
    );
    const report = loadCheckpoint(checkpoint, parameters);
    expect(values.get('backbone.conv.weight')).toEqual([0.5, 1.5, 2.5, 3.5]);
    expect(report.loaded).toEqual(Object.keys(shapes));
    expect(report.transposed).toEqual(['backbone.conv.weight', 'head.fc.weight']);
    expect(report.harmless).toEqual([
      'optimizer',
      'pixel_mean',
      'proposal_generator.anchor_generator.cell_anchors.0',
      'x.num_batches_tracked',
    ]);
    expect(report.unused).toEqual(['extra']);
    expect(formatLoadReport(report)).toBe(
      [
        'weights            w.pkl (Detectron2 .pkl)',
        'loaded          4',
        'transposed      2  of the loaded: kernels and matrices in our layout',
        'reshaped        0',
        're-initialised  0',
        'unused          1  extra',
        'harmless        4  optimizer, pixel_mean, proposal_generator.anchor_generator.cell_anchors.0, x.num_batches_tracked',
      ].join('\n'),
    );
  });

  it('names a missing tensor, the nearest one, and what to do', () => {
    const { 'head.fc.bias': _, ...rest } = shapes;
    const { parameters, values } = model(shapes);
    expect(() => loadCheckpoint(checkpointOf({ ...rest, 'head.fc.biass': [3] }), parameters)).toThrow(
      /w\.pkl: does not fit the model\. Tensors 1 missing: 'head\.fc\.bias' \(nearest in the file: head\.fc\.biass\).*reinitialise: \['head\.fc'\]/,
    );
    expect(values.size, 'nothing is loaded by halves').toBe(0);
  });

  it('names a tensor of another shape with both shapes', () => {
    const { parameters, values } = model(shapes);
    expect(() => loadCheckpoint(checkpointOf({ ...shapes, 'head.fc.weight': [81, 2] }), parameters)).toThrow(
      /'head\.fc\.weight' is \[81, 2\] in the file and \[3, 2\] in the model/,
    );
    expect(values.size).toBe(0);
  });

  it('leaves what is named for re-initialisation alone', () => {
    const { parameters, values } = model(shapes);
    const report = loadCheckpoint(checkpointOf({ ...shapes, 'head.fc.weight': [81, 2] }), parameters, {
      reinitialise: ['head.fc'],
    });
    expect(report.reinitialised).toEqual(['head.fc.weight', 'head.fc.bias']);
    expect([...values.keys()]).toEqual(['backbone.conv.weight', 'backbone.conv.bias']);
    expect(report.unused).toEqual([]);
    expect(() => loadCheckpoint(checkpointOf(shapes), parameters, { reinitialise: ['head.fd'] })).toThrow(ArgumentError);
    expect(() => loadCheckpoint(checkpointOf(shapes), parameters, { reinitialise: ['head.fd'] })).toThrow(
      /'head\.fd'. Did you mean head\.fc/,
    );
  });

  it('reports axes of length 1 that differ', () => {
    const { parameters } = model({ w: [3, 2] });
    expect(loadCheckpoint(checkpointOf({ w: [3, 2, 1, 1] }), parameters).reshaped).toEqual([
      { name: 'w', from: [3, 2, 1, 1], to: [3, 2] },
    ]);
  });

  it.each([NaN, Infinity, -Infinity])('names a tensor that holds %s', (bad) => {
    const checkpoint = checkpointOf(shapes);
    checkpoint.tensors.get('head.fc.weight')!.toFloat32()[4] = bad;
    const { parameters, values } = model(shapes);
    expect(() => loadCheckpoint(checkpoint, parameters)).toThrow(CheckpointError);
    expect(() => loadCheckpoint(checkpoint, parameters)).toThrow(
      `w.pkl: tensor 'head.fc.weight' [3, 2] holds ${bad} at element 4`,
    );
    expect(values.size).toBe(0);
  });

  it('says that the file looks like another architecture', () => {
    const { parameters } = model(shapes);
    expect(() => loadCheckpoint(checkpointOf({ 'layer1.0.weight': [2], 'backbone.conv.bias': [2] }), parameters)).toThrow(
      /looks like the weights of another architecture: of the 4 tensors that the model needs it has 1\. Missing: backbone\.conv\.weight.*not in the model: layer1\.0\.weight/,
    );
  });

  it('tells a deeper network by the layers left over, but accepts heads that the model does without', () => {
    const { parameters } = model({ ...shapes, 'res4.0.conv1.weight': [2] });
    const deeper = checkpointOf({ ...shapes, 'res4.0.conv1.weight': [2], 'res4.1.conv1.weight': [2] });
    expect(() => loadCheckpoint(deeper, parameters)).toThrow(
      /w\.pkl: looks like the weights of a deeper network: it has 1 tensors.*res4\.1\.conv1\.weight/,
    );
    const masks = checkpointOf({
      ...shapes,
      'res4.0.conv1.weight': [2],
      'roi_heads.mask_head.predictor.weight': [2],
      'res5.0.conv1.weight': [2],
    });
    expect(loadCheckpoint(masks, parameters).unused).toEqual(['roi_heads.mask_head.predictor.weight', 'res5.0.conv1.weight']);
  });

  it('finds a bare backbone under any prefix', () => {
    const wanted = { 'backbone.res2.0.conv1.weight': [2, 1, 1, 1], 'roi_heads.res5.0.conv1.weight': [2, 1, 1, 1] };
    const caffe2 = checkpointOf(
      { 'backbone.bottom_up.res2.0.conv1.weight': [2, 1, 1, 1], 'backbone.bottom_up.res5.0.conv1.weight': [2, 1, 1, 1] },
      { format: 'caffe2-pkl' },
    );
    expect(loadCheckpoint(caffe2, model(wanted).parameters).loaded).toEqual(Object.keys(wanted));
    const torchvision = checkpointOf(
      { 'res2.0.conv1.weight': [2, 1, 1, 1], 'res5.0.conv1.weight': [2, 1, 1, 1], 'stem.fc.bias': [9] },
      { metadata: { matching_heuristics: 'true' } },
    );
    const report = loadCheckpoint(torchvision, model(wanted).parameters);
    expect(report.loaded).toEqual(Object.keys(wanted));
    expect(report.harmless).toEqual(['stem.fc.bias']);
  });
});
