/** CRC-32C (Castagnoli), reflected, as TensorFlow's records use it. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

/** CRC-32C of bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Rotated and shifted, so that a checksum of data with checksums inside stays one. */
function masked(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record: length, its checksum, data, its checksum. */
export function frameRecord(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(16 + data.byteLength);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(data.byteLength), true);
  view.setUint32(8, masked(crc32c(out.subarray(0, 8))), true);
  out.set(data, 12);
  view.setUint32(12 + data.byteLength, masked(crc32c(data)), true);
  return out;
}

/** The event that opens a file. @param seconds since 1970 */
export function versionEvent(seconds: number): Uint8Array {
  return Uint8Array.from([...double(1, seconds), ...text(3, 'brain.Event:2')]);
}

/** An event with scalar summaries (`Event.summary.value[] { tag, simple_value }`). @param seconds since 1970 */
export function scalarEvent(seconds: number, step: number, scalars: Readonly<Record<string, number>>): Uint8Array {
  const values = Object.entries(scalars).flatMap(([tag, value]) => bytes(1, [...text(1, tag), ...float(2, value)]));
  return Uint8Array.from([...double(1, seconds), ...key(2, 0), ...varint(step), ...bytes(5, values)]);
}

const key = (field: number, wire: number): number[] => varint(field * 8 + wire);

function varint(value: number): number[] {
  const out: number[] = [];
  for (; value >= 128; value = Math.floor(value / 128)) out.push((value % 128) + 128);
  return [...out, value];
}

function double(field: number, value: number): number[] {
  return [...key(field, 1), ...new Uint8Array(new Float64Array([value]).buffer)];
}

function float(field: number, value: number): number[] {
  return [...key(field, 5), ...new Uint8Array(new Float32Array([value]).buffer)];
}

function bytes(field: number, content: readonly number[]): number[] {
  return [...key(field, 2), ...varint(content.length), ...content];
}

function text(field: number, value: string): number[] {
  return bytes(field, [...new TextEncoder().encode(value)]);
}
