import { DatasetError } from '../../errors.js';
import type { SemanticLabels } from '../annotations/semantic_map.js';
import { readStoredSamples } from './read_image.js';

/**
 * Reads a semantic segmentation file: one channel of 8 bits, the class in each pixel; of a palette the indices.
 *
 * @param source a path, or the file's bytes
 * @throws DatasetError naming the file when it has several channels or more bits, ImageError when it cannot be read
 */
export async function readSemanticLabels(source: string | Uint8Array): Promise<SemanticLabels> {
  const { data, height, width, channels } = await readStoredSamples(source);
  if (channels !== 1 || !(data instanceof Uint8Array))
    throw new DatasetError(
      `${typeof source === 'string' ? source : 'the semantic segmentation file'} has ${channels} channels of ${data.BYTES_PER_ELEMENT * 8} bits; ` +
        'a semantic segmentation file has one of 8 bits, the class of each pixel. Panoptic files are converted by panopticToSemantic.',
    );
  return { data, height, width };
}
