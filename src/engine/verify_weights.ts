import { loadCheckpoint } from '../checkpoint/load.js';
import { readCheckpoint } from '../checkpoint/read.js';
import type { Config } from '../config/schema.js';
import { CheckpointError } from '../errors.js';
import { buildModel } from '../meta_arch/build_model.js';

/**
 * Gives a model of a configuration, on the running backend, every tensor of a weight file.
 * @returns how many the model took
 * @throws CheckpointError where one is missing, of another shape, not finite, or left over; ConfigError for a model that cannot be built
 */
export async function verifyWeights(config: Config, path: string): Promise<number> {
  const checkpoint = await readCheckpoint(path);
  const model = buildModel(config);
  try {
    const { loaded, unused } = loadCheckpoint(checkpoint, model.modelParameters());
    if (unused.length > 0)
      throw new CheckpointError(
        `${path}: ${unused.length} tensors have no place in the model: ${unused.slice(0, 5).join(', ')}${unused.length > 5 ? ', ...' : ''}.`,
      );
    return loaded.length;
  } finally {
    model.dispose();
  }
}
