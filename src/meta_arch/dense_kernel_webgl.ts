import * as tf from '@tensorflow/tfjs-core';
import { assertFloat32, runFragments, type WebglBackend } from '../ops/kernels/webgl_program.js';
import { BOX_OF, choose, join, planOf, TABLE } from '../rpn/anchor_choice_webgl.js';
import { CANDIDATE_COLUMNS, DENSE_CANDIDATES, type DenseAttributes } from './dense_kernel.js';

tf.registerKernel({
  kernelName: DENSE_CANDIDATES,
  backendName: 'webgl',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    assertFloat32('The choice of candidates');
    const backend = anyBackend as WebglBackend;
    const { numClasses, ...attributes } = attrs as unknown as DenseAttributes;
    const [logitMaps, deltaMaps] = ['logits', 'deltas'].map((name) =>
      Array.from({ length: Object.keys(inputs).length / 2 }, (_, level) => inputs[`${name}${level}`] as tf.TensorInfo),
    );
    const plan = planOf(backend, logitMaps, { ...attributes, classes: numClasses, imageSizes: [] });
    const { table, images, count } = plan;
    const logits = join(backend, logitMaps, images);
    const deltas = join(backend, deltaMaps, images);
    const chosen = choose(backend, logits, plan);
    const candidates = runFragments(backend, {
      code: `${TABLE}${BOX_OF}
  float run(int index) {
    int row = index / ${CANDIDATE_COLUMNS};
    int part = index - row * ${CANDIDATE_COLUMNS};
    int image = row / count;
    int slot = row - image * count;
    int level = 0;
    while (level + 1 < levels && slot >= tableAt(level + 1, 2)) level++;
    int choice = int(getChosen(row));
    int anchor = choice / classes;
    if (part == 4) return getLogits(image * total + startOf(level) + choice);
    if (part == 5) return float(choice - anchor * classes);
    if (part == 6) return float(startOf(level) / classes + anchor);
    return boxOf(image, level, anchor)[part];
  }`,
      inputs: { Table: table, Logits: logits, Deltas: deltas, Chosen: chosen },
      uniforms: { ...plan.uniforms, ...plan.boxUniforms },
      output: [images, count, CANDIDATE_COLUMNS],
    });
    for (const tensor of [table, logits, deltas, chosen]) backend.disposeIntermediateTensorInfo(tensor);
    return candidates;
  },
});
