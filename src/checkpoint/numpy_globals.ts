import { CheckpointError } from '../errors.js';
import { bytesOf, textOf } from './pickle.js';
import type { Buildable, PickleGlobal } from './pickle.js';
import { ELEMENT_SIZES, TensorData, elementCount, fortranStrides } from './tensor_data.js';
import type { ElementType } from './tensor_data.js';

const ELEMENT_TYPES: Readonly<Record<string, ElementType>> = {
  b1: 'BOOL',
  i1: 'I8',
  i2: 'I16',
  i4: 'I32',
  i8: 'I64',
  u1: 'U8',
  u2: 'U16',
  u4: 'U32',
  u8: 'U64',
  f2: 'F16',
  f4: 'F32',
  f8: 'F64',
};

/** numpy.dtype: a kind and width ('f4'), with the byte order set by BUILD. */
class NumpyType implements Buildable {
  bigEndian = false;
  readonly code: string;

  constructor(code: string) {
    this.bigEndian = code.startsWith('>');
    this.code = code.replace(/^[<>=|]/, '');
  }

  build(state: unknown): void {
    const order = Array.isArray(state) ? textOf(state[1]) : undefined;
    if (order === undefined) throw new CheckpointError('a numpy dtype with a state that is not (version, byte order, ...)');
    this.bigEndian = order === '>';
  }

  get element(): ElementType {
    const element = ELEMENT_TYPES[this.code];
    if (!element)
      throw new CheckpointError(
        `an array of numpy dtype '${this.code}'; numbers of ${Object.keys(ELEMENT_TYPES).join(', ')} can be read`,
      );
    return element;
  }
}

/** numpy.ndarray between `_reconstruct` and BUILD. */
export class NumpyArray implements Buildable {
  private data: TensorData | undefined;

  build(state: unknown): void {
    if (!Array.isArray(state) || (state.length !== 5 && state.length !== 4))
      throw new CheckpointError('a numpy array with a state of unknown form');
    const [shape, type, fortran, data] = state.slice(-4) as unknown[];
    this.data = arrayFrom(shape, type, fortran === true || fortran === 1, data);
  }

  get tensor(): TensorData {
    if (!this.data) throw new CheckpointError('a numpy array without contents');
    return this.data;
  }
}

function arrayFrom(shape: unknown, type: unknown, fortran: boolean, data: unknown): TensorData {
  if (!Array.isArray(shape) || !shape.every((n): n is number => typeof n === 'number'))
    throw new CheckpointError('a numpy array whose shape is not integers');
  if (!(type instanceof NumpyType)) throw new CheckpointError('a numpy array without a dtype');
  const element = type.element;
  const bytes = bytesOf(data);
  if (!bytes) throw new CheckpointError('a numpy array whose contents are not bytes');
  const wanted = elementCount(shape) * ELEMENT_SIZES[element];
  if (bytes.byteLength !== wanted) {
    throw new CheckpointError(
      `a numpy array of shape [${shape.join(', ')}] (${type.code}) with ${bytes.byteLength} bytes instead of ${wanted}`,
    );
  }
  return new TensorData(bytes, element, shape, {
    bigEndian: type.bigEndian,
    strides: fortran ? fortranStrides(shape) : undefined,
  });
}

function scalarFrom(args: unknown[]): TensorData {
  const bytes = bytesOf(args[1]);
  const type = args[0];
  if (!(type instanceof NumpyType) || !bytes) throw new CheckpointError('a numpy scalar of unknown form');
  return new TensorData(bytes, type.element, [], { bigEndian: type.bigEndian });
}

function encode(args: unknown[]): Uint8Array {
  const encoding = args[1] === undefined ? 'utf-8' : textOf(args[1])?.toLowerCase();
  if (encoding === 'latin1' || encoding === 'latin-1') {
    const bytes = bytesOf(args[0]);
    if (bytes) return bytes;
  }
  throw new CheckpointError(`_codecs.encode with encoding '${encoding}'; only latin1 occurs in weight files`);
}

function numpyType(args: unknown[]): NumpyType {
  const code = textOf(args[0]);
  if (code === undefined) throw new CheckpointError('a numpy dtype without a name');
  return new NumpyType(code);
}

/** `_frombuffer(buffer, dtype, shape, order)`, protocol 5's form of an array. */
function fromBuffer(args: unknown[]): TensorData {
  return arrayFrom(args[2], args[1], textOf(args[3]) === 'F', args[0]);
}

/** The names that numpy's pickles use, under numpy 1 (`numpy.core`) and 2 (`numpy._core`). */
export function numpyGlobals(): PickleGlobal[] {
  const globals: PickleGlobal[] = [
    { kind: 'global', name: 'numpy ndarray' },
    { kind: 'global', name: 'numpy dtype', call: numpyType },
    { kind: 'global', name: '_codecs encode', call: encode },
  ];
  for (const core of ['numpy.core', 'numpy._core']) {
    globals.push(
      { kind: 'global', name: `${core}.multiarray _reconstruct`, call: () => new NumpyArray() },
      { kind: 'global', name: `${core}.multiarray scalar`, call: scalarFrom },
      { kind: 'global', name: `${core}.numeric _frombuffer`, call: fromBuffer },
    );
  }
  return globals;
}
