import { CheckpointError } from '../errors.js';
import type { PickleGlobal } from './pickle.js';
import { ELEMENT_SIZES, TensorData } from './tensor_data.js';
import type { ElementType } from './tensor_data.js';

const STORAGES: Readonly<Record<string, ElementType>> = {
  FloatStorage: 'F32',
  DoubleStorage: 'F64',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  ShortStorage: 'I16',
  IntStorage: 'I32',
  LongStorage: 'I64',
  BoolStorage: 'BOOL',
};

const TYPES: Readonly<Record<string, ElementType>> = {
  float32: 'F32',
  float64: 'F64',
  float16: 'F16',
  bfloat16: 'BF16',
  int8: 'I8',
  uint8: 'U8',
  int16: 'I16',
  uint16: 'U16',
  int32: 'I32',
  uint32: 'U32',
  int64: 'I64',
  uint64: 'U64',
  bool: 'BOOL',
};

/** A named type: of a storage (`torch.FloatStorage`) or of elements (`torch.float32`). */
export interface TorchTypeGlobal extends PickleGlobal {
  readonly element: ElementType | 'untyped';
}

/** The bytes that a persistent id stands for. */
export class TorchStorage {
  constructor(
    readonly bytes: Uint8Array,
    readonly element: ElementType | 'untyped',
    readonly bigEndian: boolean,
  ) {}
}

/** `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata)`; v3 has the dtype at position 6. */
function rebuildTensor(args: unknown[], typeArgument?: number): TensorData {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof TorchStorage)) throw new CheckpointError('a PyTorch tensor without a storage');
  if (typeof offset !== 'number' || !isIntegers(shape) || !isIntegers(strides))
    throw new CheckpointError('a PyTorch tensor whose offset, shape or strides are not integers');
  const element = typeArgument === undefined ? storage.element : (args[typeArgument] as TorchTypeGlobal | null)?.element;
  if (element === undefined || element === 'untyped') throw new CheckpointError('a PyTorch tensor of unknown element type');
  return new TensorData(storage.bytes, element, shape, { offset, strides, bigEndian: storage.bigEndian });
}

function firstTensor(args: unknown[]): unknown {
  if (!(args[0] instanceof TensorData)) throw new CheckpointError('a PyTorch parameter without a tensor');
  return args[0];
}

function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n));
}

/** The names that `torch.save` uses for tensors, parameters, storages and types. */
export function torchGlobals(): PickleGlobal[] {
  const globals: (PickleGlobal | TorchTypeGlobal)[] = [
    { kind: 'global', name: 'torch._utils _rebuild_tensor_v2', call: (args) => rebuildTensor(args) },
    { kind: 'global', name: 'torch._utils _rebuild_tensor_v3', call: (args) => rebuildTensor(args, 6) },
    { kind: 'global', name: 'torch._utils _rebuild_parameter', call: firstTensor },
    { kind: 'global', name: 'torch Size', call: (args) => args[0] },
    { kind: 'global', name: 'torch device', call: () => null },
    { kind: 'global', name: 'torch.storage UntypedStorage', element: 'untyped' },
  ];
  for (const [name, element] of Object.entries(STORAGES))
    globals.push({ kind: 'global', name: `torch ${name}`, element } as TorchTypeGlobal);
  for (const [name, element] of Object.entries(TYPES))
    globals.push({ kind: 'global', name: `torch ${name}`, element } as TorchTypeGlobal);
  return globals;
}

/** Bytes of one element of a storage; 1 where it is untyped. */
export function storageElementSize(element: ElementType | 'untyped'): number {
  return element === 'untyped' ? 1 : ELEMENT_SIZES[element];
}
