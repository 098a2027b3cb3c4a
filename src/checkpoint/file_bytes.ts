import { CheckpointError } from '../errors.js';

const CHUNK = 1 << 26;

/**
 * Reads a whole file into one buffer of its own (files over 2 GiB too).
 * @throws CheckpointError that names the file where it is missing, a folder or empty.
 */
export async function readFileBytes(path: string): Promise<Uint8Array> {
  const { open } = await import('node:fs/promises');
  let file;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file. Check the path' : (cause as Error).message;
    throw new CheckpointError(`${path}: cannot open the weights: ${reason}.`, { cause });
  }
  try {
    const status = await file.stat();
    if (!status.isFile())
      throw new CheckpointError(
        `${path}: cannot open the weights: it is not a file. Give the .pkl, .pth or .safetensors file itself.`,
      );
    if (status.size === 0)
      throw new CheckpointError(`${path}: cannot read the weights: the file is empty. Download or copy it again.`);
    const bytes = new Uint8Array(status.size);
    let filled = 0;
    while (filled < bytes.byteLength) {
      const { bytesRead } = await file.read(bytes, filled, Math.min(CHUNK, bytes.byteLength - filled), filled);
      if (bytesRead === 0)
        throw new CheckpointError(`${path}: cannot read the weights: the file became shorter while it was read.`);
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
