import { WriteError } from './errors.js';

/**
 * Writes the whole file under a temporary name in the same folder, syncs it and renames it: readers see the old file or the new one, never half.
 * @throws WriteError naming the file and what the system said; what the data themselves throw passes through
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  // Loaded late, so that bundles for browsers can hold what writes files in Node.
  const [{ mkdir, open, rename, rm }, { dirname }, { randomBytes }] = await Promise.all([
    import('node:fs/promises'),
    import('node:path'),
    import('node:crypto'),
  ]);
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'wx');
    try {
      if (typeof data === 'string' || data instanceof Uint8Array) await file.writeFile(data);
      else for await (const chunk of data) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw explainWriteError(path, error);
  }
}

/** The system's own words on what a user can mend. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the disk; make room and run again',
  EDQUOT: 'the disk quota is used up; make room and run again',
  EFBIG: 'the file would be larger than the limit for files (ulimit -f); raise it and run again',
  EACCES: 'no permission; choose another folder or change its owner',
  EPERM: 'no permission; choose another folder or change its owner',
  EROFS: 'the file system is read-only; choose another folder',
  EISDIR: 'there is a folder of this name; choose another name',
  ENOTDIR: 'a part of the path is a file; choose another folder',
  EEXIST: 'a part of the path is a file; choose another folder',
};

/** A WriteError that names the file, where the system's own error is one that a user can mend; else the error as it is. */
export function explainWriteError(path: string, error: unknown): unknown {
  const { code } = (error ?? {}) as { code?: string };
  const reason = code === undefined ? undefined : REASONS[code];
  return reason === undefined ? error : new WriteError(`${path} cannot be written: ${reason} (${code}).`, { cause: error });
}
