import * as tf from '@tensorflow/tfjs-core';
import { assertFloat32, float, int, runFragments, type WebglBackend } from '../ops/kernels/webgl_program.js';
import { CANDIDATE, suppressOnWebgl } from '../ops/nms/webgl.js';
import { NO_CANDIDATE } from '../ops/nms/webgl_matrix.js';
import { BOX_OF, choose, join, LEVEL, type Plan, planOf, TABLE } from './anchor_choice_webgl.js';
import type { ProposalSelection } from './find_top_proposals.js';
import { type ProposalAttributes, RPN_PROPOSALS } from './proposal_kernel.js';

/** Decodes, checks and clips the chosen boxes. @returns [N, C, 6] as `CANDIDATE` says */
function decode(
  backend: WebglBackend,
  [logits, deltas, chosen]: tf.TensorInfo[],
  { table, images, levels, count, uniforms, boxUniforms }: Plan,
  selection: ProposalSelection,
): tf.TensorInfo {
  return runFragments(backend, {
    code: `${TABLE}${BOX_OF}
  bool isFinite1(float v) { return (floatBitsToUint(v) & 0x7f800000u) != 0x7f800000u; }
  float run(int index) {
    int row = index / ${CANDIDATE};
    int part = index - row * ${CANDIDATE};
    int image = row / count;
    int slot = row - image * count;
    int level = 0;
    while (level + 1 < levels && slot >= tableAt(level + 1, 2)) level++;
    if (part == 5) return float(level);
    int anchor = int(getChosen(row));
    int source = image * total + startOf(level) + anchor;
    vec4 box = boxOf(image, level, anchor);
    float score = getLogits(source);
    vec2 limit = vec2(getTable(sizesAt + 2 * image + 1), getTable(sizesAt + 2 * image));
    vec4 clipped = clamp(box, vec4(0.0), vec4(limit, limit));
    bool finite = isFinite1(box.x) && isFinite1(box.y) && isFinite1(box.z) && isFinite1(box.w) && isFinite1(score);
    bool good = finite && clipped.z - clipped.x > minBoxSize && clipped.w - clipped.y > minBoxSize;
    if (part == 4) return good ? score : ${NO_CANDIDATE};
    return good ? clipped[part] : 0.0;
  }`,
    inputs: { Table: table, Logits: logits, Deltas: deltas, Chosen: chosen },
    uniforms: {
      ...uniforms,
      ...boxUniforms,
      sizesAt: int(LEVEL * levels),
      minBoxSize: float(selection.minBoxSize),
    },
    output: [images, count, CANDIDATE],
  });
}

tf.registerKernel({
  kernelName: RPN_PROPOSALS,
  backendName: 'webgl',
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    assertFloat32('The choice of proposals');
    const backend = anyBackend as WebglBackend;
    const attributes = attrs as unknown as ProposalAttributes;
    const { selection, imageSizes } = attributes;
    const [logitMaps, deltaMaps] = ['logits', 'deltas'].map((name) =>
      Array.from({ length: Object.keys(inputs).length / 2 }, (_, level) => inputs[`${name}${level}`] as tf.TensorInfo),
    );
    const plan = planOf(backend, logitMaps, { ...attributes, topK: selection.preNmsTopK, classes: 1 });
    const logits = join(backend, logitMaps, imageSizes.length);
    const deltas = join(backend, deltaMaps, imageSizes.length);
    const chosen = choose(backend, logits, plan);
    const candidates = decode(backend, [logits, deltas, chosen], plan, selection);
    const proposals = suppressOnWebgl(backend, candidates, selection.nmsThreshold, selection.postNmsTopK);
    for (const tensor of [plan.table, logits, deltas, chosen, candidates]) backend.disposeIntermediateTensorInfo(tensor);
    return proposals;
  },
});
