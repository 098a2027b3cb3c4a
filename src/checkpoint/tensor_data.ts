import { CheckpointError } from '../errors.js';

/** Element types by the names that safetensors gives them. */
export const ELEMENT_SIZES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

export type ElementType = keyof typeof ELEMENT_SIZES;

/** A tensor of a checkpoint: still in the file's bytes, turned into float32 on request. */
export interface CheckpointTensor {
  /** Detectron2's layout: OIHW for convolutions, (out, in) for linear layers. */
  readonly shape: number[];
  /** The stored element type, by its safetensors name. */
  readonly dtype: string;
  /** The values in C order; a view of the file's bytes where they already are aligned little-endian float32. Do not write to it. */
  toFloat32(): Float32Array;
}

export interface TensorLayout {
  /** Steps in elements, one an axis; absent for C order. */
  strides?: number[];
  /** First element, counted in elements from the start of the bytes. */
  offset?: number;
  bigEndian?: boolean;
}

/** A tensor over bytes that it does not own: any element type, any strides, either byte order. */
export class TensorData implements CheckpointTensor {
  readonly strides: number[];
  readonly offset: number;
  readonly bigEndian: boolean;

  /** @throws CheckpointError where the shape reaches beyond the bytes. */
  constructor(
    readonly bytes: Uint8Array,
    readonly dtype: ElementType,
    readonly shape: number[],
    layout: TensorLayout = {},
  ) {
    if (shape.some((n) => !Number.isSafeInteger(n) || n < 0))
      throw new CheckpointError(`a tensor has the impossible shape [${shape.join(', ')}]`);
    const size = elementCount(shape);
    this.strides = layout.strides ?? contiguousStrides(shape);
    this.offset = layout.offset ?? 0;
    this.bigEndian = (layout.bigEndian ?? false) && ELEMENT_SIZES[dtype] > 1;
    const stored = Math.floor(bytes.byteLength / ELEMENT_SIZES[dtype]);
    let last = this.offset;
    for (let axis = 0; axis < shape.length; axis++) last += (shape[axis] - 1) * this.strides[axis];
    const outside = !(
      this.strides.length === shape.length &&
      this.strides.every((s) => Number.isSafeInteger(s) && s >= 0) &&
      this.offset >= 0 &&
      last < stored
    );
    // More elements than stored would let a few bytes claim terabytes (expanded tensors, stride 0).
    if (size > 0 && (outside || size > stored)) {
      throw new CheckpointError(
        `a tensor of shape [${shape.join(', ')}] (${dtype}) needs more than the ${bytes.byteLength} bytes that are stored for it`,
      );
    }
  }

  get size(): number {
    return elementCount(this.shape);
  }

  /** True where the elements lie in C order, little-endian, without gaps. */
  get isPlain(): boolean {
    return !this.bigEndian && isContiguous(this.shape, this.strides);
  }

  toFloat32(): Float32Array {
    const size = this.size;
    const from = this.bytes.byteOffset + this.offset * ELEMENT_SIZES[this.dtype];
    if (this.isPlain && this.dtype === 'F32' && from % 4 === 0) return new Float32Array(this.bytes.buffer, from, size);
    const out = new Float32Array(size);
    if (this.isPlain && this.dtype === 'F32') {
      new Uint8Array(out.buffer).set(new Uint8Array(this.bytes.buffer, from, size * 4));
      return out;
    }
    const read = elementReader(this.bytes, this.dtype, this.bigEndian);
    this.forEachElement((element, i) => {
      out[i] = read(element);
    });
    return out;
  }

  /** The elements as little-endian bytes in C order; a view where they already are. */
  toBytes(): Uint8Array {
    const width = ELEMENT_SIZES[this.dtype];
    if (this.isPlain) return this.bytes.subarray(this.offset * width, (this.offset + this.size) * width);
    const out = new Uint8Array(this.size * width);
    this.forEachElement((element, i) => {
      for (let b = 0; b < width; b++) out[i * width + b] = this.bytes[element * width + (this.bigEndian ? width - 1 - b : b)];
    });
    return out;
  }

  /** Rows `start` to the end of the first axis, without a copy. */
  dropRows(start: number): TensorData {
    const shape = [Math.max(0, this.shape[0] - start), ...this.shape.slice(1)];
    const offset = this.offset + start * this.strides[0];
    return new TensorData(this.bytes, this.dtype, shape, { strides: this.strides, offset, bigEndian: this.bigEndian });
  }

  /** The same elements with the axes in another order, without a copy: axis `i` of the result is axis `order[i]` of this one. */
  permuted(order: readonly number[]): TensorData {
    const pick = (values: readonly number[]): number[] => order.map((axis) => values[axis]);
    const { offset, bigEndian } = this;
    return new TensorData(this.bytes, this.dtype, pick(this.shape), { strides: pick(this.strides), offset, bigEndian });
  }

  /** The same rows with the first one last (a copy). */
  firstRowLast(): TensorData {
    const plain = this.toBytes();
    const row = this.shape[0] === 0 ? 0 : plain.byteLength / this.shape[0];
    const bytes = new Uint8Array(plain.byteLength);
    bytes.set(plain.subarray(row), 0);
    bytes.set(plain.subarray(0, row), plain.byteLength - row);
    return new TensorData(bytes, this.dtype, this.shape);
  }

  private forEachElement(visit: (element: number, index: number) => void): void {
    const { shape, strides } = this;
    const size = this.size;
    const position = new Array<number>(shape.length).fill(0);
    let element = this.offset;
    for (let i = 0; i < size; i++) {
      visit(element, i);
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        element += strides[axis];
        if (++position[axis] < shape[axis]) break;
        element -= shape[axis] * strides[axis];
        position[axis] = 0;
      }
    }
  }
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** Steps in elements of a C-ordered array. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * Math.max(1, shape[axis + 1]);
  return strides;
}

/** Steps in elements of a Fortran-ordered array. */
export function fortranStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = 1; axis < shape.length; axis++) strides[axis] = strides[axis - 1] * Math.max(1, shape[axis - 1]);
  return strides;
}

function isContiguous(shape: number[], strides: number[]): boolean {
  const wanted = contiguousStrides(shape);
  return shape.every((n, axis) => n <= 1 || strides[axis] === wanted[axis]);
}

function elementReader(bytes: Uint8Array, dtype: ElementType, bigEndian: boolean): (element: number) => number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = !bigEndian;
  switch (dtype) {
    case 'F32':
      return (i) => view.getFloat32(i * 4, little);
    case 'F64':
      return (i) => view.getFloat64(i * 8, little);
    case 'F16':
      return (i) => halfToFloat(view.getUint16(i * 2, little));
    case 'BF16':
      return (i) => bfloatToFloat(view.getUint16(i * 2, little));
    case 'I8':
      return (i) => view.getInt8(i);
    case 'U8':
      return (i) => view.getUint8(i);
    case 'BOOL':
      return (i) => (view.getUint8(i) === 0 ? 0 : 1);
    case 'I16':
      return (i) => view.getInt16(i * 2, little);
    case 'U16':
      return (i) => view.getUint16(i * 2, little);
    case 'I32':
      return (i) => view.getInt32(i * 4, little);
    case 'U32':
      return (i) => view.getUint32(i * 4, little);
    case 'I64':
      return (i) => Number(view.getBigInt64(i * 8, little));
    case 'U64':
      return (i) => Number(view.getBigUint64(i * 8, little));
  }
}

const scratch = new DataView(new ArrayBuffer(4));

/** The value of an IEEE half given by its bits. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function bfloatToFloat(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** Halves (as bits) of float32 values, rounded to the nearest, ties to even; beyond 65504 becomes infinity. */
export function floatsToHalves(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    let half: number;
    if (magnitude >= 0x7f800000) half = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
    else if (magnitude >= 0x477ff000) half = 0x7c00;
    else if (magnitude >= 0x38800000) half = (magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13;
    else if (magnitude < 0x33000000) half = 0;
    else {
      const shift = 126 - (magnitude >>> 23);
      const mantissa = (magnitude & 0x7fffff) | 0x800000;
      half = mantissa >>> shift;
      const rest = mantissa & ((1 << shift) - 1);
      const middle = 1 << (shift - 1);
      if (rest > middle || (rest === middle && (half & 1) === 1)) half++;
    }
    out[i] = sign | half;
  }
  return out;
}
