import { getConfig } from '../src/config/index.js';
import { rleToString } from '../src/data/rle/rle.js';
import type { ModelParameter } from '../src/layers/module.js';
import { initializeWeights } from '../src/layers/weight_init.js';
import { buildModel } from '../src/meta_arch/build_model.js';
import { postprocess } from '../src/meta_arch/postprocess.js';
import { pasteMaskToRle } from '../src/ops/mask_paste/mask_paste.js';
import type { Bench } from './bench.js';
import { seededRandom } from './random.js';
import { rcnnFlops } from './rcnn_flops.js';

const SIDE = 800;
const PROPOSALS = 1000;
const DETECTIONS = 100;

/**
 * Trained norms keep activations near 1; fresh ones let them grow with every block and with the pixels' scale, until boxes leave the image and
 * few proposals are left.
 */
export function tame(parameters: readonly ModelParameter[]): void {
  for (const { name, shape, set } of parameters) {
    const value = name.endsWith('stem.conv1.norm.weight') ? 1 / 64 : name.endsWith('conv3.norm.weight') ? 0.2 : undefined;
    if (value !== undefined) set(new Float32Array(shape[0]!).fill(value));
  }
}

/** The whole detector with random weights: from uint8 pixels to instances with run-length masks. */
export function rcnnR50Fpn800(): Bench {
  const random = seededRandom(4);
  const data = Uint8Array.from({ length: SIDE * SIDE * 3 }, () => Math.floor(random() * 256));
  const image = { data, height: SIDE, width: SIDE };
  return {
    name: 'rcnn_r50_fpn_800',
    input: `R-50-FPN, ${SIDE}x${SIDE}, ${PROPOSALS} proposals, ${DETECTIONS} detections, boxes and run-length masks`,
    peers: ['torchvision', 'onnxruntime'],
    inputs: { image: { shape: [SIDE, SIDE, 3], data } },
    options: {},
    flops: rcnnFlops(SIDE, SIDE, PROPOSALS, DETECTIONS),
    async prepare() {
      // Every class of every proposal is a candidate: random weights give all the detections that a scene could.
      const model = buildModel(
        getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', ['MODEL.ROI_HEADS.SCORE_THRESH_TEST=0.0']),
      );
      const parameters = model.modelParameters();
      initializeWeights(parameters, random);
      tame(parameters);
      model.fold();
      let proposals = 0;
      await model.infer([image], {
        trace: (name, tensor) => {
          if (name === 'cls_logits') proposals = tensor.shape[0]!;
        },
      });
      return {
        async run() {
          const { instances } = await model.infer([image]);
          const { boxes, scores, masks } = postprocess(instances[0]!, [SIDE, SIDE], [SIDE, SIDE]);
          const { size, probabilities } = masks!;
          const rles = Array.from(scores, (_, i) => {
            const mask = probabilities.subarray(i * size * size, (i + 1) * size * size);
            return rleToString(pasteMaskToRle(mask, size, boxes.subarray(i * 4, i * 4 + 4), SIDE, SIDE));
          });
          return { proposals, detections: rles.length, peak_mb: Math.round(process.resourceUsage().maxRSS / 1024) };
        },
        dispose: () => void model.dispose(),
      };
    },
  };
}
