import { CheckpointError } from '../errors.js';
import { Hdf5Bytes } from './hdf5_bytes.js';
import { readChunks } from './hdf5_chunks.js';
import { ELEMENT_SIZES, type ElementType, TensorData } from './tensor_data.js';

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];
const UNDEFINED = 0xffffffffffffffffn;
const MAX_DEPTH = 32;
const MAX_OBJECTS = 100_000;
const RESAVE = "save it again in Python: h5py.File(new, 'w', libver='earliest')";

const MESSAGE = { dataspace: 1, datatype: 3, layout: 8, filters: 11, continuation: 16, symbolTable: 17 } as const;

/** What of an HDF5 file is tensors, and what is not. */
export interface Hdf5Contents {
  /** By path (`conv1/conv1/kernel:0`), with the file's own axes. */
  readonly tensors: Map<string, TensorData>;
  /** Paths of datasets of other types: strings, structures. */
  readonly ignored: string[];
}

/** Whether a file is HDF5, by its first bytes. */
export function isHdf5(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, i) => bytes[i] === byte);
}

/**
 * Reads the datasets of an HDF5 file as h5py writes it for Keras (`save_weights`): groups as symbol tables, datasets of floats and
 * integers, whole or in chunks, plain or compressed by gzip. After the HDF5 File Format Specification, version 3; attributes are not read. The tensors are views of the bytes.
 * @throws CheckpointError for a damaged file, newer structures, or other compression
 */
export function readHdf5(bytes: Uint8Array): Hdf5Contents {
  return new Hdf5Reader(bytes).read();
}

interface Message {
  readonly type: number;
  readonly at: number;
  readonly size: number;
}

class Hdf5Reader extends Hdf5Bytes {
  private readonly tensors = new Map<string, TensorData>();
  private readonly ignored: string[] = [];
  private objects = 0;

  read(): Hdf5Contents {
    const version = this.u8(8);
    if (version > 1) throw new CheckpointError(`an HDF5 file of a newer layout (superblock ${version}); ${RESAVE}`);
    if (this.u8(13) !== 8 || this.u8(14) !== 8) throw new CheckpointError('an HDF5 file whose addresses are not of 8 bytes');
    // Four addresses stand between the sizes and the root's entry; in it a name comes before the address.
    const root = this.address((version === 0 ? 24 : 28) + 4 * 8 + 8);
    this.visit(root, '', 0);
    return { tensors: this.tensors, ignored: this.ignored };
  }

  private visit(header: number, path: string, depth: number): void {
    if (depth > MAX_DEPTH) throw new CheckpointError(`HDF5 groups nested deeper than ${MAX_DEPTH} levels in '${path}'`);
    if (++this.objects > MAX_OBJECTS) throw new CheckpointError(`an HDF5 file of more than ${MAX_OBJECTS} objects`);
    const messages = this.messages(header);
    const table = messages.find(({ type }) => type === MESSAGE.symbolTable);
    if (table) {
      const names = this.heap(this.address(table.at + 8));
      this.tree(this.address(table.at), 0, (nameAt, child) => {
        this.visit(child, path === '' ? this.text(names + nameAt) : `${path}/${this.text(names + nameAt)}`, depth + 1);
      });
    } else if (messages.some(({ type }) => type === MESSAGE.layout)) this.dataset(path, messages);
  }

  /** The messages of a version 1 object header, with its continuations. */
  private messages(header: number): Message[] {
    if (this.u8(header) !== 1) throw new CheckpointError(`an HDF5 object of a newer layout; ${RESAVE}`);
    const count = this.u16(header + 2);
    const blocks = [{ at: header + 16, end: header + 16 + this.u32(header + 8) }];
    const messages: Message[] = [];
    for (let block = 0; block < blocks.length && messages.length < count; block++) {
      const { end } = blocks[block]!;
      for (let at = blocks[block]!.at; at + 8 <= end && messages.length < count;) {
        const message = { type: this.u16(at), size: this.u16(at + 2), at: at + 8 };
        messages.push(message);
        if (message.type === MESSAGE.continuation) {
          const start = this.address(message.at);
          blocks.push({ at: start, end: start + this.address(message.at + 8) });
        }
        at += 8 + message.size;
      }
    }
    return messages;
  }

  /** The children of a group, by a version 1 B-tree of symbol tables. */
  private tree(node: number, depth: number, emit: (nameAt: number, header: number) => void): void {
    if (depth > MAX_DEPTH) throw new CheckpointError('an HDF5 tree that never ends');
    if (this.signature(node) === 'SNOD') {
      const count = this.u16(node + 6);
      for (let i = 0, at = node + 8; i < count; i++, at += 40) emit(this.address(at), this.address(at + 8));
      return;
    }
    if (this.signature(node) !== 'TREE' || this.u8(node + 4) !== 0)
      throw new CheckpointError('an HDF5 group without its tree; the file is damaged');
    const count = this.u16(node + 6);
    for (let i = 0; i < count; i++) this.tree(this.address(node + 24 + 8 + i * 16), depth + 1, emit);
  }

  private heap(at: number): number {
    if (this.signature(at) !== 'HEAP') throw new CheckpointError('an HDF5 group without its names; the file is damaged');
    return this.address(at + 24);
  }

  private dataset(path: string, messages: readonly Message[]): void {
    const find = (type: number): Message => {
      const message = messages.find((m) => m.type === type);
      if (!message) throw new CheckpointError(`the HDF5 dataset '${path}' lacks a part of its header; the file is damaged`);
      return message;
    };
    const element = this.elementType(find(MESSAGE.datatype).at);
    if (!element) {
      this.ignored.push(path);
      return;
    }
    const shape = this.shape(find(MESSAGE.dataspace).at);
    const filters = messages.find(({ type }) => type === MESSAGE.filters)?.at;
    const elementSize = ELEMENT_SIZES[element.type];
    const data =
      this.data(path, find(MESSAGE.layout).at) ?? this.chunked(path, find(MESSAGE.layout).at, shape, elementSize, filters);
    this.tensors.set(path, new TensorData(data, element.type, shape, { bigEndian: element.bigEndian }));
  }

  private elementType(at: number): { type: ElementType; bigEndian: boolean } | undefined {
    const kind = this.u8(at) & 15;
    const flags = this.u8(at + 1);
    const bits = this.u32(at + 4) * 8;
    const type = kind === 1 ? `F${bits}` : kind === 0 ? `${(flags & 8) !== 0 ? 'I' : 'U'}${bits}` : '';
    const known: readonly string[] = ['F16', 'F32', 'F64', 'I8', 'I16', 'I32', 'I64', 'U8', 'U16', 'U32', 'U64'];
    return known.includes(type) ? { type: type as ElementType, bigEndian: (flags & 1) !== 0 } : undefined;
  }

  private shape(at: number): number[] {
    const rank = this.u8(at + 1);
    const first = at + (this.u8(at) === 1 ? 8 : 4);
    return Array.from({ length: rank }, (_, i) => this.address(first + i * 8));
  }

  private chunked(
    path: string,
    at: number,
    shape: readonly number[],
    elementSize: number,
    filters: number | undefined,
  ): Uint8Array {
    if (this.u8(at) !== 3 || this.u8(at + 1) !== 2)
      throw new CheckpointError(`the HDF5 dataset '${path}' is of a newer layout; ${RESAVE}`);
    return readChunks(this, path, { layout: at, filters, shape, elementSize });
  }

  /** undefined where the layout is not contiguous or compact */
  private data(path: string, at: number): Uint8Array | undefined {
    const version = this.u8(at);
    if (version < 3) {
      if (this.u8(at + 2) !== 1) return undefined;
      return this.bytes.subarray(this.address(at + 8));
    }
    const kind = this.u8(at + 1);
    if (kind === 0) return this.range(path, at + 4, this.u16(at + 2));
    if (kind !== 1) return undefined;
    // A dataset that was never written has no place.
    if (this.u64(at + 2) === UNDEFINED) return new Uint8Array(0);
    return this.range(path, this.address(at + 2), this.address(at + 10));
  }
}
