import { CheckpointError } from '../errors.js';
import { numpyGlobals } from './numpy_globals.js';
import { textOf, unpickle } from './pickle.js';
import type { PickleGlobal } from './pickle.js';
import { pythonGlobals } from './python_globals.js';
import { TorchStorage, storageElementSize, torchGlobals } from './torch_globals.js';
import type { TorchTypeGlobal } from './torch_globals.js';
import { ZipArchive } from './zip.js';

/**
 * Reads what `torch.save` writes since PyTorch 1.6: a ZIP with a pickle and one entry per storage, which become views.
 * @returns the saved object; tensors as TensorData, dicts as Maps
 * @throws CheckpointError that names the source.
 */
export function readPth(bytes: Uint8Array, source: string): unknown {
  const archive = new ZipArchive(bytes, source);
  const names = archive.names();
  const pickleName = names.find((name) => name.endsWith('/data.pkl') || name === 'data.pkl');
  if (pickleName === undefined)
    throw new CheckpointError(
      `${source}: a ZIP without data.pkl, so nothing that torch.save wrote. Give the file that torch.save wrote.`,
    );
  if (names.some((name) => name.endsWith('/constants.pkl'))) {
    throw new CheckpointError(
      `${source}: a TorchScript archive, which holds code. Save the weights with torch.save(model.state_dict(), file).`,
    );
  }
  const folder = pickleName.slice(0, -'data.pkl'.length);
  const order = `${folder}byteorder`;
  const bigEndian = names.includes(order) && new TextDecoder().decode(archive.read(order)).trim() === 'big';
  const storages = new Map<string, TorchStorage>();

  const persistentLoad = (id: unknown): TorchStorage => {
    const fields: unknown[] = Array.isArray(id) ? id : [];
    const [tag, type, key, , count] = fields;
    const keyText = textOf(key);
    const element = (type as TorchTypeGlobal | null | undefined)?.element;
    if (textOf(tag) !== 'storage' || keyText === undefined || element === undefined || typeof count !== 'number') {
      throw new CheckpointError('a persistent id that is not a PyTorch storage');
    }
    const known = storages.get(keyText);
    if (known) return known;
    const data = archive.read(`${folder}data/${keyText}`);
    if (data.byteLength < count * storageElementSize(element)) {
      throw new CheckpointError(
        `storage ${keyText} has ${data.byteLength} bytes instead of ${count * storageElementSize(element)}`,
      );
    }
    const storage = new TorchStorage(data, element, bigEndian);
    storages.set(keyText, storage);
    return storage;
  };
  const globals = new Map<string, PickleGlobal>(
    [...pythonGlobals(), ...numpyGlobals(), ...torchGlobals()].map((g) => [g.name, g]),
  );
  return unpickle(archive.read(pickleName), { source, globals, persistentLoad }).value;
}
