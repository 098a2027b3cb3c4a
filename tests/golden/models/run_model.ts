import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { loadCheckpoint } from '../../../src/checkpoint/load.js';
import { readCheckpoint } from '../../../src/checkpoint/read.js';
import { getConfig, type Config } from '../../../src/config/index.js';
import { readImage } from '../../../src/data/image_io/read_image.js';
import { resizeBilinear, resizeShortestEdgeShape } from '../../../src/data/resize/resize.js';
import { ConfigError } from '../../../src/errors.js';
import { buildModel } from '../../../src/meta_arch/build_model.js';
import { postprocess } from '../../../src/meta_arch/postprocess.js';
import { unsupported, type Line } from '../compare.js';
import type { HostTensor } from '../layout.js';
import type { Only } from '../ops/run_ops.js';
import { SafetensorsFile } from '../safetensors_file.js';
import { NOT_YET } from '../unsupported.js';
import { compareFinalMasks, type FinalImage } from './compare_masks.js';
import { compareSegments, tracePixels } from './compare_panoptic.js';
import { compareTraced, type GoldenEntry } from './compare_traced.js';
import { alignNearTies, type GoldenProposals } from './near_ties.js';
import { runTraining } from './run_training.js';

interface Call {
  inputs: string[];
  image_sizes: [number, number][];
  final?: FinalImage[];
}

interface Manifest {
  tensors: Record<string, GoldenEntry>;
  train?: unknown;
  [call: string]: unknown;
}

const CALLS = ['single', 'batch'];

/** Runs the model of a golden folder on its inputs and compares every tensor of the manifest that inference gives. */
export async function runModel(folder: string, only: Only, add: (line: Line) => void): Promise<void> {
  const name = `models/${basename(folder)}`;
  const manifest = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Manifest;
  if (only !== 'training') await runInference(folder, name, manifest, add);
  if (only !== 'inference' && manifest.train) await runTraining(folder, name, add);
}

async function runInference(folder: string, name: string, manifest: Manifest, add: (line: Line) => void): Promise<void> {
  let cfg: Config;
  let model: ReturnType<typeof buildModel>;
  try {
    cfg = getConfig(join(folder, 'config.yaml'));
    model = buildModel(cfg);
  } catch (error) {
    // What the project refuses by its config is not run; what fails later is a failure.
    if (error instanceof ConfigError) return add(unsupported(name, '*', error.message));
    throw error;
  }
  try {
    loadCheckpoint(await readCheckpoint(weightsOf(folder)), model.modelParameters());
    model.fold();
    const file = new SafetensorsFile(join(folder, 'golden.safetensors'));
    for (const call of CALLS) {
      const description = manifest[call] as Call | undefined;
      if (description) await runCall(folder, `${name}/${call}`, call, description, { cfg, model, manifest, file }, add);
    }
  } finally {
    model.dispose();
  }
}

interface Loaded {
  cfg: Config;
  model: ReturnType<typeof buildModel>;
  manifest: Manifest;
  file: SafetensorsFile;
}

async function runCall(
  folder: string,
  caseName: string,
  call: string,
  description: Call,
  loaded: Loaded,
  add: (line: Line) => void,
): Promise<void> {
  const { cfg, model, manifest, file } = loaded;
  const wanted = Object.keys(manifest.tensors).filter((n) => n.startsWith(`${call}.`));
  const originals = await Promise.all(
    description.inputs.map((path) => readImage(join(folder, path), { format: cfg.INPUT.FORMAT as 'BGR' | 'RGB' })),
  );
  const images = originals.map((image) => {
    const [height, width] = resizeShortestEdgeShape(image.height, image.width, cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST);
    return { data: resizeBilinear(image, height, width), height, width };
  });
  const traced = new Map<string, HostTensor>([
    ['resized_u8', { shape: [images[0].height, images[0].width, 3], data: images[0].data }],
  ]);
  const kept: [name: string, copy: tf.Tensor][] = [];
  const trace = (tensorName: string, tensor: tf.Tensor): void => {
    // A copy, read afterwards: a GPU has no synchronous reads.
    if (wanted.includes(`${call}.${tensorName}`)) kept.push([tensorName, tf.keep(tf.clone(tensor))]);
  };
  const outputSizes = originals.map(({ height, width }): [number, number] => [height, width]);
  const { instances, semantic } = await model.infer(images, { trace, outputSizes });
  for (const [tensorName, copy] of kept) {
    traced.set(tensorName, { shape: [...copy.shape], data: await copy.data<'float32'>() });
    copy.dispose();
  }
  const finals = instances.map((found, i) => {
    const final = postprocess(found, [images[i].height, images[i].width], [originals[i].height, originals[i].width]);
    const count = final.scores.length;
    traced.set(`final.${i}.pred_boxes`, { shape: [count, 4], data: final.boxes });
    traced.set(`final.${i}.scores`, { shape: [count], data: final.scores });
    traced.set(`final.${i}.pred_classes`, { shape: [count], data: final.classes });
    if (final.keypoints)
      traced.set(`final.${i}.pred_keypoints`, { shape: [count, final.keypoints.count, 3], data: final.keypoints.values });
    // A model of proposals alone calls the same two things by other names.
    traced.set(`final.${i}.proposal_boxes`, { shape: [count, 4], data: final.boxes });
    traced.set(`final.${i}.objectness_logits`, { shape: [count], data: final.scores });
    return final;
  });
  const panoptic = semantic?.map((map, i) => tracePixels(traced, i, map, finals[i], cfg));
  const note = alignNearTies(
    traced,
    images.map((_, i) => goldenProposals(loaded, `${call}.proposals.${i}`)),
  );
  for (const fullName of wanted) {
    const tensorName = fullName.slice(call.length + 1);
    const actual = traced.get(tensorName);
    const where = { case: caseName, name: tensorName };
    if (!actual) add(unsupported(caseName, tensorName, `the model does not give this tensor: ${NOT_YET}`));
    else {
      const line = compareTraced(where, actual, file.get(fullName), manifest.tensors[fullName]);
      add(note && tensorName.startsWith('proposals.') ? { ...line, note: [line.note, note].filter(Boolean).join('; ') } : line);
    }
  }
  description.final?.forEach((expected, i) => {
    for (const line of compareFinalMasks(caseName, i, expected, finals[i])) add(line);
    const segments = panoptic?.[i];
    if (segments && expected.segments_info) add(compareSegments(caseName, i, expected.segments_info, segments));
  });
}

function goldenProposals({ manifest, file }: Loaded, prefix: string): GoldenProposals | undefined {
  const [boxes, logits] = [`${prefix}.boxes`, `${prefix}.objectness_logits`];
  const [boxEntry, logitEntry] = [manifest.tensors[boxes], manifest.tensors[logits]];
  if (!boxEntry || !logitEntry) return undefined;
  return {
    boxes: file.get(boxes),
    logits: file.get(logits),
    boxTolerance: boxEntry.atol ?? 0,
    logitTolerance: logitEntry.atol ?? 0,
  };
}

function weightsOf(folder: string): string {
  const file = readdirSync(folder).find((entry) => /^model_final\./.test(entry));
  if (!file || !existsSync(join(folder, file))) throw new Error(`${folder}: no model_final.*`);
  return join(folder, file);
}
