import { CocoEval } from '../src/evaluation/coco_eval.js';
import { forTask } from '../src/evaluation/coco_evaluator.js';
import { summarize } from '../src/evaluation/coco_summary.js';
import type { Bench } from './bench.js';
import { cocoData, VAL2017, type CocoDataSize } from './coco_data.js';

/** COCO evaluation of one task, from detections in memory to the 12 numbers; `AP` is printed on both sides, and must agree. */
export function cocoEvaluation(task: 'bbox' | 'segm', size: CocoDataSize = VAL2017): Bench {
  const { dataset, results } = cocoData(size);
  const own = forTask(results, task);
  const bytes = (value: unknown[] | object): { shape: number[]; data: Uint8Array } => {
    const data = new TextEncoder().encode(JSON.stringify(value));
    return { shape: [data.length], data };
  };
  return {
    name: `coco_eval_${task}${size === VAL2017 ? '' : `_${size.images}`}`,
    input: `${size.images} images, ${size.objects} objects, ${size.categories} categories, ${size.detections} detections an image`,
    peers: ['pycocotools', 'faster_coco_eval'],
    warmPeers: false,
    inputs: { truth: bytes(dataset), results: bytes(own) },
    options: { task },
    async prepare() {
      return {
        async run() {
          const { stats } = summarize(new CocoEval(dataset, own, task).run());
          return { AP: stats[0]! };
        },
        dispose: () => undefined,
      };
    },
  };
}
