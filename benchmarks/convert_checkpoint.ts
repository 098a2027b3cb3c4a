// Converts a full-size R-50-FPN .pkl of random weights in a process of its own; prints its time and its peak memory as JSON.
// npx tsx benchmarks/convert_checkpoint.ts [--file other.pkl]
import '@tensorflow/tfjs-backend-cpu';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import { writeDetectron2Pkl } from '../src/checkpoint/pkl_writer.js';
import type { SafetensorsTensor } from '../src/checkpoint/safetensors.js';
import { getConfig } from '../src/config/index.js';
import { buildModel } from '../src/meta_arch/build_model.js';

const MODEL = 'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x';

async function writeRandomModel(path: string): Promise<void> {
  // Without this the library advises tfjs-node, which this does not need.
  tf.env().set('PROD', true);
  await tf.setBackend('cpu');
  const model = buildModel(getConfig(MODEL));
  const tensors = new Map<string, SafetensorsTensor>();
  for (const { name, shape } of model.modelParameters()) {
    tensors.set(name, {
      shape,
      dtype: 'F32',
      data: () => new Float32Array(shape.reduce((a, b) => a * b, 1)).map(() => Math.random() - 0.5),
    });
  }
  await writeDetectron2Pkl(path, tensors, { __author__: 'benchmark' });
  model.dispose();
}

const folder = mkdtempSync(join(tmpdir(), 'convert-'));
try {
  const given = process.argv.indexOf('--file');
  const input = given > 0 ? process.argv[given + 1] : join(folder, 'model_final.pkl');
  if (given < 0) await writeRandomModel(input);
  const child = fileURLToPath(new URL('./convert_checkpoint_child.ts', import.meta.url));
  const printed = execFileSync(process.execPath, ['--import', 'tsx', child, input, join(folder, 'out.safetensors')], {
    encoding: 'utf8',
  });
  const { seconds, baseline, peak } = JSON.parse(printed) as { seconds: number; baseline: number; peak: number };
  const size = statSync(input).size;
  const megabytes = (bytes: number): number => Math.round(bytes / 1e5) / 10;
  console.log(
    JSON.stringify({
      name: 'convert_checkpoint',
      input: given > 0 ? input : `${MODEL}, .pkl to .safetensors`,
      file_mb: megabytes(size),
      seconds: Number(seconds.toFixed(2)),
      peak_rss_mb: megabytes(peak),
      rss_before_mb: megabytes(baseline),
      peak_over_file: Number((peak / size).toFixed(2)),
      limits: { seconds: 10, peak_over_file: 3 },
    }),
  );
  if (seconds > 10 || peak > 3 * size) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
