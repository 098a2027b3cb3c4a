import { inflateSync } from 'fflate';
import { CheckpointError } from '../errors.js';

/** Reads the entries of a ZIP archive (ZIP64 too) from memory: stored entries are views, deflated ones are inflated on request. */
export class ZipArchive {
  private readonly entries = new Map<string, ZipEntry>();
  private readonly view: DataView;

  /** @throws CheckpointError that names the source where the directory is missing or damaged. */
  constructor(
    private readonly bytes: Uint8Array,
    private readonly source: string,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    try {
      this.readDirectory();
    } catch (error) {
      if (error instanceof RangeError) throw this.error('its directory points outside the file');
      throw error;
    }
  }

  names(): string[] {
    return [...this.entries.keys()];
  }

  /** The contents of an entry. @throws CheckpointError where it is missing, damaged or encrypted. */
  read(name: string): Uint8Array {
    const entry = this.entries.get(name);
    if (!entry) throw this.error(`it has no entry '${name}'`);
    const { header, packed, size } = entry;
    if (header + 30 > this.bytes.byteLength || this.view.getUint32(header, true) !== LOCAL_HEADER)
      throw this.error(`entry '${name}' is not where the directory says`);
    const start = header + 30 + this.view.getUint16(header + 26, true) + this.view.getUint16(header + 28, true);
    if (start + packed > this.bytes.byteLength) throw this.error(`entry '${name}' reaches beyond the end of the file`);
    const data = this.bytes.subarray(start, start + packed);
    if (entry.encrypted) throw this.error(`entry '${name}' is encrypted`);
    if (entry.method === 0 && packed === size) return data;
    if (entry.method !== 8) throw this.error(`entry '${name}' is stored in a way that cannot be read (method ${entry.method})`);
    // Deflate packs 1032 to 1 at most; a larger claim is a lie that would only cost memory.
    if (size > packed * 1032 + 64) throw this.error(`entry '${name}' claims ${size} bytes from ${packed}`);
    let inflated: Uint8Array;
    try {
      inflated = inflateSync(data, { out: new Uint8Array(size) });
    } catch (cause) {
      throw this.error(`entry '${name}' cannot be unpacked`, cause);
    }
    if (inflated.byteLength !== size) throw this.error(`entry '${name}' has ${inflated.byteLength} bytes instead of ${size}`);
    return inflated;
  }

  private readDirectory(): void {
    const end = this.findEnd();
    let count = this.view.getUint16(end + 10, true);
    let offset = this.view.getUint32(end + 16, true);
    if (end >= 20 && this.view.getUint32(end - 20, true) === ZIP64_LOCATOR) {
      const end64 = this.long(end - 12);
      if (this.view.getUint32(end64, true) !== ZIP64_END) throw this.error('its ZIP64 directory is damaged');
      count = this.long(end64 + 32);
      offset = this.long(end64 + 48);
    }
    for (let i = 0; i < count; i++) {
      if (this.view.getUint32(offset, true) !== DIRECTORY_ENTRY) throw this.error('its directory is damaged');
      const nameLength = this.view.getUint16(offset + 28, true);
      const extraLength = this.view.getUint16(offset + 30, true);
      const commentLength = this.view.getUint16(offset + 32, true);
      const name = new TextDecoder().decode(this.bytes.subarray(offset + 46, offset + 46 + nameLength));
      this.entries.set(name, this.entryAt(offset, offset + 46 + nameLength, extraLength));
      offset += 46 + nameLength + extraLength + commentLength;
    }
  }

  private entryAt(offset: number, extra: number, extraLength: number): ZipEntry {
    const entry: ZipEntry = {
      encrypted: (this.view.getUint16(offset + 8, true) & 1) === 1,
      method: this.view.getUint16(offset + 10, true),
      packed: this.view.getUint32(offset + 20, true),
      size: this.view.getUint32(offset + 24, true),
      header: this.view.getUint32(offset + 42, true),
    };
    for (let at = extra; at + 4 <= extra + extraLength; at += 4 + this.view.getUint16(at + 2, true)) {
      if (this.view.getUint16(at, true) !== 1) continue;
      // The ZIP64 field holds only the numbers that are all ones above, in this order.
      let field = at + 4;
      for (const key of ['size', 'packed', 'header'] as const) {
        if (entry[key] !== 0xffffffff) continue;
        entry[key] = this.long(field);
        field += 8;
      }
    }
    return entry;
  }

  private findEnd(): number {
    const last = this.bytes.byteLength - 22;
    for (let at = last; at >= 0 && at >= last - 65535; at--) if (this.view.getUint32(at, true) === END) return at;
    throw this.error('it has no ZIP directory at its end; it is truncated or damaged. Download or copy it again');
  }

  private long(at: number): number {
    const value = this.view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.error('its directory points outside the file');
    return Number(value);
  }

  private error(problem: string, cause?: unknown): CheckpointError {
    return new CheckpointError(`${this.source}: cannot read the PyTorch archive: ${problem}.`, { cause });
  }
}

interface ZipEntry {
  encrypted: boolean;
  method: number;
  packed: number;
  size: number;
  header: number;
}

const LOCAL_HEADER = 0x04034b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END = 0x06054b50;
const ZIP64_END = 0x06064b50;
const ZIP64_LOCATOR = 0x07064b50;
