import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from 'fast-png';

/** Pictures of 64 x 64 with two coloured rectangles each, red ones and blue ones, as COCO files: `train.json`, `val.json` and `images/`. */
export function writeTinyData(
  folder: string,
  pictures = 6,
  classes = ['red', 'blue'],
): { json: string; val: string; images: string } {
  const images = join(folder, 'images');
  mkdirSync(images, { recursive: true });
  const categories = classes.map((name, i) => ({ id: 10 * (i + 1), name }));
  const records: object[] = [];
  const annotations: object[] = [];
  for (let i = 0; i < pictures; i++) {
    const data = new Uint8Array(64 * 64 * 3).fill(90);
    for (let k = 0; k < 2; k++) {
      const [x, y, w, h] = [
        4 + ((i * 7 + k * 30) % 36),
        6 + ((i * 11 + k * 17) % 34),
        16 + ((i * 3 + k) % 8),
        14 + ((i * 5 + k) % 9),
      ];
      for (let row = y; row < y + h; row++)
        for (let column = x; column < x + w; column++) data.set(k === 0 ? [230, 20, 20] : [20, 20, 230], (row * 64 + column) * 3);
      const polygon = [x, y, x + w, y, x + w, y + h, x, y + h];
      annotations.push({
        id: annotations.length + 1,
        image_id: i + 1,
        category_id: categories[k % classes.length]!.id,
        bbox: [x, y, w, h],
        area: w * h,
        iscrowd: 0,
        segmentation: [polygon],
      });
    }
    const name = `${i}.png`;
    writeFileSync(join(images, name), encode({ width: 64, height: 64, data, channels: 3, depth: 8 }));
    records.push({ id: i + 1, file_name: name, height: 64, width: 64 });
  }
  const paths = { json: join(folder, 'train.json'), val: join(folder, 'val.json'), images };
  const content = (kept: number) =>
    JSON.stringify({ images: records.slice(0, kept), annotations: annotations.slice(0, 2 * kept), categories });
  writeFileSync(paths.json, content(pictures));
  writeFileSync(paths.val, content(2));
  return paths;
}

/** A config of a very small Mask R-CNN with group norms, for pictures of 64 x 64. */
export const TINY_CONFIG = `MODEL:
  META_ARCHITECTURE: GeneralizedRCNN
  MASK_ON: true
  BACKBONE: { NAME: build_resnet_fpn_backbone, FREEZE_AT: 0 }
  RESNETS: { DEPTH: 18, NORM: GN, STEM_OUT_CHANNELS: 32, RES2_OUT_CHANNELS: 32, STRIDE_IN_1X1: false, OUT_FEATURES: [res2, res3, res4, res5] }
  FPN: { IN_FEATURES: [res2, res3, res4, res5], OUT_CHANNELS: 32, NORM: GN }
  ANCHOR_GENERATOR: { SIZES: [[8], [16], [32], [64], [128]], ASPECT_RATIOS: [[0.5, 1.0, 2.0]] }
  RPN:
    IN_FEATURES: [p2, p3, p4, p5, p6]
    BATCH_SIZE_PER_IMAGE: 64
    PRE_NMS_TOPK_TRAIN: 100
    PRE_NMS_TOPK_TEST: 50
    POST_NMS_TOPK_TRAIN: 50
    POST_NMS_TOPK_TEST: 20
  ROI_HEADS: { NAME: StandardROIHeads, IN_FEATURES: [p2, p3, p4, p5], BATCH_SIZE_PER_IMAGE: 16 }
  ROI_BOX_HEAD: { NAME: FastRCNNConvFCHead, NUM_FC: 1, FC_DIM: 32, POOLER_RESOLUTION: 7 }
  ROI_MASK_HEAD: { NAME: MaskRCNNConvUpsampleHead, NUM_CONV: 1, CONV_DIM: 32, POOLER_RESOLUTION: 7 }
INPUT: { MIN_SIZE_TRAIN: [64], MIN_SIZE_TEST: 64, MAX_SIZE_TRAIN: 64, MAX_SIZE_TEST: 64 }
DATALOADER: { NUM_WORKERS: 0 }
SOLVER: { IMS_PER_BATCH: 2, BASE_LR: 0.0025, MAX_ITER: 4, STEPS: [], WARMUP_ITERS: 2, CHECKPOINT_PERIOD: 2 }
SEED: 7
`;

/** The same with 8 channels and frozen norms, drawn at two sizes: a step takes a few hundredths of a second. */
export const SMALLEST_CONFIG = TINY_CONFIG.replace(
  'NORM: GN, STEM_OUT_CHANNELS: 32, RES2_OUT_CHANNELS: 32',
  'NORM: FrozenBN, STEM_OUT_CHANNELS: 8, RES2_OUT_CHANNELS: 8',
)
  .replace('OUT_CHANNELS: 32, NORM: GN', 'OUT_CHANNELS: 8')
  .replaceAll(/(FC_DIM|CONV_DIM): 32/g, '$1: 16')
  .replace('MIN_SIZE_TRAIN: [64]', 'MIN_SIZE_TRAIN: [48, 64]')
  .replace('BASE_LR: 0.0025', 'BASE_LR: 0.0005, CLIP_GRADIENTS: { ENABLED: true, CLIP_TYPE: full_model, CLIP_VALUE: 1.0 }');
