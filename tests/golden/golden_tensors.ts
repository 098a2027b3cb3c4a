/** One tensor of a golden file: values as numbers (64-bit integers do not occur), in the order of the file. */
export interface GoldenTensor {
  shape: number[];
  dtype: string;
  data: Float32Array | Float64Array | Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array;
}

const ARRAYS: Record<string, (buffer: ArrayBuffer) => GoldenTensor['data']> = {
  F32: (b) => new Float32Array(b),
  F64: (b) => new Float64Array(b),
  I64: (b) => Float64Array.from(new BigInt64Array(b), Number),
  I32: (b) => new Int32Array(b),
  I16: (b) => new Int16Array(b),
  U16: (b) => new Uint16Array(b),
  I8: (b) => new Int8Array(b),
  U8: (b) => new Uint8Array(b),
  BOOL: (b) => new Uint8Array(b),
};

/** A safetensors file in memory. The runner has its own reader so that the project's reader is judged, not trusted. */
export class GoldenTensors {
  private readonly start: number;
  private readonly header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

  constructor(
    readonly path: string,
    private readonly bytes: Uint8Array,
  ) {
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
    this.start = 8 + length;
    this.header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, this.start)));
    delete this.header['__metadata__'];
  }

  has(name: string): boolean {
    return name in this.header;
  }

  get names(): string[] {
    return Object.keys(this.header);
  }

  get(name: string): GoldenTensor {
    const entry = this.header[name];
    if (!entry) throw new Error(`${this.path}: no tensor '${name}'`);
    const read = ARRAYS[entry.dtype];
    if (!read) throw new Error(`${this.path}: '${name}' has dtype ${entry.dtype}, which goldens do not use`);
    const [from, to] = entry.data_offsets;
    const copy = new Uint8Array(to - from);
    copy.set(this.bytes.subarray(this.start + from, this.start + to));
    return { shape: entry.shape, dtype: entry.dtype, data: read(copy.buffer) };
  }
}
