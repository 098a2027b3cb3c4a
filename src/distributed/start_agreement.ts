import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { semanticMapPath } from '../data/annotations/semantic_map.js';
import { readPanopticDataset } from '../data/coco/read_panoptic.js';
import type { CocoDataset } from '../data/coco/coco_types.js';
import type { DatasetRecord } from '../data/coco/dataset_records.js';
import type { TrainingRunOptions } from '../engine/training_run.js';
import type { ModelParameter } from '../layers/module.js';
import { agree } from './agreement.js';
import type { Communicator } from './communicator.js';
import { fileFact, filesFact, settingFacts } from './start_facts.js';

/**
 * Compares what processes are asked to do, before they do anything together: with other settings they would wait for each other in different calls.
 * @param device the backend that runs here
 * @throws DatasetError where config, options, version, device or an annotation file differs
 */
export async function agreeOnSettings(
  processes: Communicator,
  { config, train, validation, resume = false, auto, epochs }: TrainingRunOptions,
  device: string,
): Promise<void> {
  agree(processes, {
    ...(await settingFacts(config, device, { '--resume': resume, '--auto': auto !== undefined, '--epochs': epochs })),
    'the training annotations': await fileFact(train.json),
    'the validation annotations': await fileFact(validation?.json),
    'the panoptic annotations': await fileFact(validation?.panoptic?.json),
  });
}

/**
 * Compares pictures, by name and size, and the weights before the first step.
 * @param records what is trained on
 * @param judged  what is evaluated on
 * @throws DatasetError where they differ
 */
export async function agreeOnStart(
  processes: Communicator,
  { train, validation }: TrainingRunOptions,
  records: readonly DatasetRecord[],
  judged: CocoDataset | undefined,
  parameters: readonly ModelParameter[],
): Promise<void> {
  const weights = createHash('sha256');
  for (const parameter of parameters) weights.update(await parameter.get());
  const trained = records.flatMap(({ sem_seg_file_name: path }) => path ?? []);
  const names = (judged?.images ?? []).map(({ file_name: name }) => name);
  const { images = '', semantic, panoptic } = validation ?? {};
  const maps = panoptic && (await readPanopticDataset(panoptic.json)).annotations.map(({ file_name: name }) => name);
  const paths = (folder: string, files: readonly string[]) => files.map((file) => join(folder, file));
  agree(processes, {
    'the training pictures': await filesFact(
      train.images,
      records.map(({ file_name: path }) => path),
    ),
    'the semantic maps of the training pictures': await filesFact(train.semantic ?? '', trained),
    'the validation pictures': await filesFact(images, paths(images, names)),
    'the semantic maps of the validation pictures':
      semantic === undefined
        ? null
        : await filesFact(
            semantic,
            names.map((name) => semanticMapPath(semantic, name)),
          ),
    'the panoptic maps': panoptic && maps ? await filesFact(panoptic.folder, paths(panoptic.folder, maps)) : null,
    'the weights to start from': `SHA-256 ${weights.digest('hex').slice(0, 16)}`,
  });
}
