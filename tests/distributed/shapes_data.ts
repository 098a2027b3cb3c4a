import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainManifest } from '../golden/models/training_case.js';

/** Golden cases whose training pictures show the same three classes with masks. */
const CASES = ['01_mask_rcnn_R_50_FPN_3x', '08_mask_rcnn_R_50_C4_3x', '09_mask_rcnn_R_50_DC5_3x', '14_mask_rcnn_R_18_FPN'];

/** The training pictures of golden cases, lying and upright ones, as COCO files; the config and the weights of case 14. */
export function writeShapesData(golden: string, folder: string) {
  const images: object[] = [];
  const annotations: object[] = [];
  mkdirSync(join(folder, 'images'), { recursive: true });
  for (const name of CASES) {
    const from = join(golden, 'models', name);
    const { train } = JSON.parse(readFileSync(join(from, 'golden.json'), 'utf8')) as { train: TrainManifest };
    for (const image of train.images) {
      const id = images.length + 1;
      cpSync(join(from, image.file), join(folder, 'images', `${id}.png`));
      images.push({ id, file_name: `${id}.png`, height: image.height, width: image.width });
      for (const {
        bbox_xyxy: [x0, y0, x1, y1],
        gt_class,
        segmentation,
      } of image.annotations) {
        const bbox = [x0!, y0!, x1! - x0!, y1! - y0!];
        const fixed = { area: bbox[2]! * bbox[3]!, iscrowd: 0 };
        annotations.push({ id: annotations.length + 1, image_id: id, category_id: gt_class + 1, bbox, segmentation, ...fixed });
      }
    }
  }
  const categories = ['rectangle', 'circle', 'triangle'].map((name, i) => ({ id: i + 1, name }));
  const json = join(folder, 'shapes.json');
  writeFileSync(json, JSON.stringify({ images, annotations, categories }));
  const model = join(golden, 'models', CASES[3]!);
  const weights = join(
    model,
    readdirSync(model).find((file) => file.startsWith('model_final.'))!,
  );
  return { json, images: join(folder, 'images'), config: join(model, 'config_train.yaml'), weights };
}
