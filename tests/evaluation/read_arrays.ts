import { readFileSync } from 'node:fs';

/** Reads the float64 and int64 arrays of a safetensors file. */
export function readArrays(path: string): Record<string, { shape: number[]; data: Float64Array }> {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(([name, { dtype, shape, data_offsets }]) => {
        const raw = bytes.buffer.slice(
          bytes.byteOffset + 8 + length + data_offsets[0],
          bytes.byteOffset + 8 + length + data_offsets[1],
        );
        return [
          name,
          { shape, data: dtype === 'I64' ? Float64Array.from(new BigInt64Array(raw), Number) : new Float64Array(raw) },
        ];
      }),
  );
}
