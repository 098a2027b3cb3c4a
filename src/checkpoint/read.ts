import { readFileBytes } from './file_bytes.js';
import { parseCheckpoint, type Checkpoint } from './parse.js';

export { parseCheckpoint, type Checkpoint, type CheckpointFormat, type CheckpointTensor } from './parse.js';

/**
 * Reads a weight file: Detectron2 `.pkl`, Caffe2 / Detectron1 `.pkl`, PyTorch `.pth` (zip) or safetensors, told apart by contents, not by name.
 * The tensors are views of one buffer, so nothing is twice in memory. Nothing in the file is executed.
 * @throws CheckpointError that names the file and what is wrong with it.
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  return parseCheckpoint(await readFileBytes(path), path, { ownsBytes: true });
}
