import { CheckpointError } from '../errors.js';

/** Little-endian numbers, names and ranges of an HDF5 file. @throws CheckpointError for what lies beyond its end */
export class Hdf5Bytes {
  private readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  range(path: string, at: number, size: number): Uint8Array {
    if (at + size > this.bytes.length)
      throw new CheckpointError(`the HDF5 dataset '${path}' reaches beyond the end of the file, which is cut off`);
    return this.bytes.subarray(at, at + size);
  }

  text(at: number): string {
    const end = this.bytes.indexOf(0, at);
    if (end < 0 || end - at > 65_536) throw new CheckpointError('an HDF5 name that never ends; the file is damaged');
    return new TextDecoder().decode(this.bytes.subarray(at, end));
  }

  signature(at: number): string {
    return String.fromCharCode(this.u8(at), this.u8(at + 1), this.u8(at + 2), this.u8(at + 3));
  }

  address(at: number): number {
    const value = this.u64(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw new CheckpointError('an HDF5 address beyond the end of the file; the file is damaged');
    return Number(value);
  }

  u64(at: number): bigint {
    return this.view.getBigUint64(this.inside(at, 8), true);
  }

  u32(at: number): number {
    return this.view.getUint32(this.inside(at, 4), true);
  }

  u16(at: number): number {
    return this.view.getUint16(this.inside(at, 2), true);
  }

  u8(at: number): number {
    return this.view.getUint8(this.inside(at, 1));
  }

  private inside(at: number, size: number): number {
    if (at + size <= this.bytes.length) return at;
    throw new CheckpointError(`an HDF5 file that is cut off or damaged: it points to byte ${at} of ${this.bytes.length}`);
  }
}
