import type { Config } from '../../config/index.js';
import { datasetRecords } from '../../data/coco/dataset_records.js';
import { readCocoDataset } from '../../data/coco/read_coco.js';
import { buildModel } from '../../meta_arch/build_model.js';
import type { TrainingRunOptions } from '../training_run.js';
import { applyAutoRecipe } from './auto_recipe.js';
import { datasetFacts } from './dataset_facts.js';
import { machineMemory } from './memory_estimate.js';

/** Sets the recipe for a run's training set in the config, in place, and prints what was chosen and why. */
export async function chooseRecipe(
  config: Config,
  { train: { json, images }, validation, auto, epochs, weights, processes }: TrainingRunOptions,
  print: (line: string) => void,
): Promise<void> {
  const { records, thingClasses } = datasetRecords(await readCocoDataset(json), images, { name: json });
  const choices = applyAutoRecipe(config, datasetFacts(records, thingClasses), {
    pretrained: startReference(config, weights) !== 'none',
    evaluated: validation !== undefined,
    explicit: auto?.explicit ?? new Set(),
    processes: processes?.size ?? 1,
    machine: { memory: machineMemory(), parameters: parametersOf(config) },
    ...(epochs === undefined ? {} : { epochs }),
  });
  print('recipe:');
  for (const { key, value, why } of choices) print(`  ${key}=${JSON.stringify(value)}  ${why}`);
}

/** What a run starts from: the weights given, else those of the config; `none` for random ones. */
export function startReference({ MODEL }: Config, weights: string | undefined): string {
  return weights ?? (MODEL.WEIGHTS || 'none');
}

/** Shapes of a model's weights; the model itself is not kept. */
function parametersOf(config: Config) {
  const model = buildModel(config);
  const shapes = model.modelParameters().map(({ shape, trainable }) => ({ shape, trainable }));
  model.dispose();
  return shapes;
}
