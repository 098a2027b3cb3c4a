import { writeFileAtomic } from '../atomic_file.js';
import { CheckpointError } from '../errors.js';
import { ELEMENT_SIZES, elementCount } from './tensor_data.js';
import type { ElementType } from './tensor_data.js';
import type { SafetensorsTensor } from './safetensors.js';

const NUMPY_CODES: Readonly<Partial<Record<ElementType, string>>> = {
  BOOL: 'b1',
  I8: 'i1',
  U8: 'u1',
  I16: 'i2',
  U16: 'u2',
  F16: 'f2',
  I32: 'i4',
  U32: 'u4',
  F32: 'f4',
  I64: 'i8',
  U64: 'u8',
  F64: 'f8',
};

/**
 * Writes `{'model': {name: array}, '__author__': ...}` as Detectron2's checkpointer loads it, in pickle protocol 4, atomically and one array at a time.
 * @param metadata strings beside the model; integers and 'true' / 'false' are written as such. `__author__` is added where absent, because Detectron2 takes a file without it for Caffe2's.
 * @throws CheckpointError where data and shape disagree, or numpy has no such type (BF16).
 */
export async function writeDetectron2Pkl(
  path: string,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (const [name, { dtype }] of tensors) {
    if (!NUMPY_CODES[dtype])
      throw new CheckpointError(`tensor '${name}' is ${dtype}, which numpy does not have; convert it to F32 first.`);
  }
  await writeFileAtomic(path, pickle(tensors, { __author__: 'maskrcnn-ts', ...metadata }));
}

function* pickle(tensors: ReadonlyMap<string, SafetensorsTensor>, metadata: Record<string, string>): Iterable<Uint8Array> {
  yield new PickleText().opcode('\x80\x04}(').text('model').opcode('}(').bytes();
  for (const [name, tensor] of tensors) {
    const { data, shape, dtype } = tensor;
    const made = typeof data === 'function' ? data() : data;
    if (made.byteLength !== elementCount(shape) * ELEMENT_SIZES[dtype]) {
      throw new CheckpointError(
        `tensor '${name}' of shape [${shape.join(', ')}] (${dtype}) does not fit its ${made.byteLength} bytes.`,
      );
    }
    yield arrayHead(name, shape, NUMPY_CODES[dtype]!, made.byteLength);
    yield new Uint8Array(made.buffer, made.byteOffset, made.byteLength);
    // Ends ndarray's state tuple and gives it to the array.
    yield new PickleText().opcode('tb').bytes();
  }
  const tail = new PickleText().opcode('u');
  for (const [key, value] of Object.entries(metadata)) {
    tail.text(key);
    if (/^(true|false)$/i.test(value)) tail.opcode(value.toLowerCase() === 'true' ? '\x88' : '\x89');
    else if (/^\d{1,9}$/.test(value)) tail.integer(Number(value));
    else tail.text(value);
  }
  yield tail.opcode('u.').bytes();
}

/** Everything of `_reconstruct(ndarray, (0,), b'b')` and its state (1, shape, dtype, False, bytes) up to the bytes. */
function arrayHead(name: string, shape: readonly number[], code: string, byteLength: number): Uint8Array {
  const head = new PickleText().text(name);
  head.opcode('cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R');
  head.opcode('(K\x01(');
  for (const size of shape) head.integer(size);
  // dtype(code, False, True) with the state (3, '<', None, None, None, -1, -1, 0).
  head
    .opcode('tcnumpy\ndtype\n')
    .text(code)
    .opcode('\x89\x88\x87R(K\x03')
    .text(byteOrder(code))
    .opcode('NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89');
  return head.bytesHead(byteLength).bytes();
}

/** numpy's sign for "little-endian", and for "does not matter" where an element is one byte. */
function byteOrder(code: string): string {
  return code.endsWith('1') ? '|' : '<';
}

/** Builds a piece of a pickle. */
class PickleText {
  private readonly parts: number[] = [];

  /** Opcodes and their plain arguments, a character a byte. */
  opcode(codes: string): this {
    for (let i = 0; i < codes.length; i++) this.parts.push(codes.charCodeAt(i));
    return this;
  }

  text(value: string): this {
    const utf8 = new TextEncoder().encode(value);
    this.parts.push(0x58);
    this.number(utf8.byteLength, 4);
    for (const byte of utf8) this.parts.push(byte);
    return this;
  }

  integer(value: number): this {
    if (value > 0x7fffffff) throw new CheckpointError(`an axis of ${value} elements is too long for a pickle.`);
    this.parts.push(0x4a);
    this.number(value, 4);
    return this;
  }

  bytesHead(length: number): this {
    this.parts.push(length > 0xffffffff ? 0x8e : 0x42);
    this.number(length, length > 0xffffffff ? 8 : 4);
    return this;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.parts);
  }

  private number(value: number, width: number): void {
    for (let i = 0; i < width; i++) this.parts.push(Math.floor(value / 2 ** (8 * i)) % 256);
  }
}
