import { CheckpointError } from '../errors.js';
import { convertBlobs } from './caffe2_names.js';
import { isHdf5, readHdf5 } from './hdf5.js';
import { convertMatterport, isMatterport } from './matterport_names.js';
import { NumpyArray, numpyGlobals } from './numpy_globals.js';
import { textOf, unpickle } from './pickle.js';
import type { PickleGlobal } from './pickle.js';
import { readPth } from './pth.js';
import { pythonGlobals } from './python_globals.js';
import { parseSafetensors } from './parse_safetensors.js';
import { convertTorchvision, isTorchvision } from './torchvision_names.js';
import { TensorData } from './tensor_data.js';

export type { CheckpointTensor } from './tensor_data.js';

export type CheckpointFormat = 'detectron2-pkl' | 'caffe2-pkl' | 'pth' | 'safetensors' | 'hdf5';

/** The tensors of a weight file under Detectron2's names, still in the file's bytes. */
export interface Checkpoint {
  /** The path, for messages. */
  source: string;
  format: CheckpointFormat;
  tensors: Map<string, TensorData>;
  /** Strings and numbers beside the tensors (`__author__`, `iteration`). */
  metadata: Record<string, string>;
  /** What the file holds and no model needs: optimizer state, the ImageNet classifier of a Caffe2 backbone. */
  ignored: string[];
}

const MAX_DEPTH = 16;
const MAX_ENTRIES = 200_000;
const MAX_METADATA = 1000;

/**
 * Reads a weight file that lies in memory: Detectron2 `.pkl`, Caffe2 / Detectron1 `.pkl`, PyTorch `.pth` (zip), safetensors or Keras' `.h5`, told apart by contents.
 * The tensors are views of the bytes. Nothing in the file is executed. Those of `.h5` keep the file's names and axes, but for Matterport's Mask R-CNN.
 * @param source names them in errors
 * @param options.ownsBytes the bytes may be rearranged in place (saves a copy of ill-aligned arrays)
 */
export function parseCheckpoint(bytes: Uint8Array, source: string, options: { ownsBytes?: boolean } = {}): Checkpoint {
  try {
    if (bytes[0] === 0x50 && bytes[1] === 0x4b) return fromObject(readPth(bytes, source), source, 'pth');
    if (isHdf5(bytes)) return fromHdf5(bytes, source);
    if (bytes[0] === 0x80) return fromPickle(bytes, source, options.ownsBytes ?? false);
    if (looksLikeSafetensors(bytes))
      return inDetectron2Names({ source, format: 'safetensors', ...parseSafetensors(bytes, source), ignored: [] });
  } catch (error) {
    if (error instanceof CheckpointError && !error.message.startsWith(source))
      throw new CheckpointError(`${source}: ${error.message}.`, { cause: error });
    throw error;
  }
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 64)).trimStart().toLowerCase();
  const hint = start.startsWith('<') ? ' It is a web page: the address that it was downloaded from answered with an error.' : '';
  throw new CheckpointError(
    `${source}: not a weight file that can be read: expected Detectron2 or Caffe2 .pkl, PyTorch .pth, .safetensors or Keras' .h5.${hint}`,
  );
}

/** Matterport's Mask R-CNN gets Detectron2's names; other models of Keras keep theirs. */
function fromHdf5(bytes: Uint8Array, source: string): Checkpoint {
  const { tensors, ignored } = readHdf5(bytes);
  if (!isMatterport(tensors)) return { source, format: 'hdf5', metadata: {}, tensors, ignored };
  const converted = convertMatterport(tensors);
  return { source, format: 'hdf5', ...converted, ignored: [...converted.ignored, ...ignored] };
}

function looksLikeSafetensors(bytes: Uint8Array): boolean {
  return bytes.byteLength < 8 || bytes[8] === 0x7b || bytes.subarray(4, 8).every((byte) => byte === 0);
}

function fromPickle(bytes: Uint8Array, source: string, ownsBytes: boolean): Checkpoint {
  const globals = new Map<string, PickleGlobal>([...pythonGlobals(), ...numpyGlobals()].map((g) => [g.name, g]));
  const { value } = unpickle(bytes, { source, globals, ownsBytes });
  // PyTorch's format before 1.6 starts with this number as a pickle of its own.
  if (value === 0x1950a86a20f9469cfc6cn) {
    throw new CheckpointError(
      `${source}: a file of torch.save before PyTorch 1.6. Convert it once in Python: torch.save(torch.load(file, map_location='cpu'), new_file).`,
    );
  }
  return fromObject(value, source, 'detectron2-pkl');
}

function fromObject(root: unknown, source: string, format: CheckpointFormat): Checkpoint {
  if (!(root instanceof Map))
    throw new CheckpointError(`${source}: holds no dict of tensors; save a state dict, or {'model': state dict}.`);
  const blobs: unknown = root.get('blobs');
  if (format !== 'pth' && blobs instanceof Map) return fromBlobs(blobs, root, source);
  const inner: unknown = ['model', 'state_dict', 'model_state_dict']
    .map((key) => root.get(key) as unknown)
    .find((value) => value instanceof Map);
  const model = (inner ?? root) as Map<unknown, unknown>;
  const ignored: string[] = [];
  const tensors = collectTensors(model, source, ignored);
  const metadata = inner === undefined ? {} : collectMetadata(root, ignored);
  if (tensors.size === 0) throw new CheckpointError(`${source}: holds no tensors.`);
  if (format !== 'pth' && inner === undefined && [...tensors.keys()].every((name) => !name.includes('.')))
    return fromBlobs(model, new Map(), source);
  return inDetectron2Names({ source, format, tensors: withoutModulePrefix(tensors), metadata, ignored });
}

/** torchvision's detectors have names, and an order of classes, of their own. */
function inDetectron2Names(checkpoint: Checkpoint): Checkpoint {
  if (!isTorchvision(checkpoint.tensors)) return checkpoint;
  const { tensors, metadata } = convertTorchvision(checkpoint.tensors);
  return { ...checkpoint, tensors, metadata: { ...metadata, ...checkpoint.metadata } };
}

function fromBlobs(blobs: Map<unknown, unknown>, root: Map<unknown, unknown>, source: string): Checkpoint {
  const ignored: string[] = [];
  const converted = convertBlobs(collectTensors(blobs, source, ignored));
  if (converted.tensors.size === 0) throw new CheckpointError(`${source}: holds no tensors.`);
  const metadata = collectMetadata(root, ignored);
  return { source, format: 'caffe2-pkl', tensors: converted.tensors, metadata, ignored: [...converted.ignored, ...ignored] };
}

/** Nested dicts get dotted names. */
function collectTensors(model: Map<unknown, unknown>, source: string, ignored: string[]): Map<string, TensorData> {
  const tensors = new Map<string, TensorData>();
  let visited = 0;
  const visit = (dict: Map<unknown, unknown>, prefix: string, depth: number): void => {
    if (depth > MAX_DEPTH) throw new CheckpointError(`${source}: dicts nested deeper than ${MAX_DEPTH} levels in '${prefix}'.`);
    for (const [key, value] of dict) {
      // Dicts that share their parts can have more paths than there are bytes in the file.
      if (++visited > MAX_ENTRIES) throw new CheckpointError(`${source}: more than ${MAX_ENTRIES} entries.`);
      const name = prefix + (textOf(key) ?? String(key));
      const tensor = value instanceof NumpyArray ? value.tensor : value;
      if (tensor instanceof TensorData) tensors.set(name, tensor);
      else if (tensor instanceof Map) visit(tensor, `${name}.`, depth + 1);
      else ignored.push(name);
    }
  };
  visit(model, '', 0);
  return tensors;
}

function collectMetadata(root: Map<unknown, unknown>, ignored: string[]): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [key, value] of root) {
    const name = textOf(key) ?? String(key);
    const text = scalarText(value);
    if (text !== undefined && text.length <= MAX_METADATA) metadata[name] = text;
    else if (name !== 'blobs' && name !== 'model' && name !== 'state_dict' && name !== 'model_state_dict') ignored.push(name);
  }
  return metadata;
}

function scalarText(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (value instanceof TensorData && value.shape.length === 0) return String(value.toFloat32()[0]);
  return textOf(value);
}

/** DataParallel puts `module.` before every name. */
function withoutModulePrefix(tensors: Map<string, TensorData>): Map<string, TensorData> {
  if (![...tensors.keys()].every((name) => name.startsWith('module.'))) return tensors;
  return new Map([...tensors].map(([name, tensor]) => [name.slice('module.'.length), tensor]));
}
