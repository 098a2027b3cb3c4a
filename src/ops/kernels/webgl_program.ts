import type { backend_util, DataId, DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { env } from '@tensorflow/tfjs-core';
import { BackendError } from '../../errors.js';

/** A fragment program as the TensorFlow.js webgl backend takes it. */
export interface FragmentProgram {
  variableNames: string[];
  outputShape: number[];
  userCode: string;
  enableShapeUniforms: true;
  customUniforms: { name: string; type: 'int' | 'float' }[];
}

/** What is used of the TensorFlow.js webgl backend. */
export interface WebglBackend {
  texData: { get(dataId: DataId): { values?: backend_util.BackendValues | null; isPacked?: boolean } };
  runWebGLProgram(program: FragmentProgram, inputs: TensorInfo[], dtype: DataType, uniforms: number[][]): TensorInfo;
  makeTensorInfo(shape: number[], dtype: DataType, values: Float32Array): TensorInfo;
  disposeIntermediateTensorInfo(tensor: TensorInfo): void;
  unpackTensor(tensor: TensorInfo): TensorInfo;
  readSync(dataId: DataId): backend_util.BackendValues;
}

/** A scalar uniform of a program. */
export interface Uniform {
  type: 'int' | 'float';
  value: number;
}

/**
 * A program over flat arrays: GLSL that defines `float run(int index)`, called for every value of the output. An input `Logits` is read by
 * `getLogits(int at)`; uniforms stand under their names. Nothing of the source depends on a size. One float32 holds whole numbers of 24 bits.
 */
export interface FlatFragmentProgram {
  code: string;
  inputs: Record<string, TensorInfo>;
  uniforms: Record<string, Uniform>;
  /** The result's shape. */
  output: number[];
  /** What the result is read as; on the GPU all are floats. */
  dtype?: 'float32' | 'int32';
}

/** `orderedBits(v)`: float bits as unsigned numbers of the same order; both zeros are one, and what is not a number is above all. */
export const ORDERED_BITS = `
  uint orderedBits(float v) {
    uint bits = v == 0.0 ? 0u : floatBitsToUint(v);
    return (bits & 0x7fffffffu) > 0x7f800000u ? 0xffffffffu : (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
  }`;

/**
 * `rounded(v)`: a result as float32. Compilers may fuse a product with the sum it goes into, or reorder sums; not across the bits of a number when
 * they cannot know that nothing is changed in them. Needs the uniform `nothing`, an integer 0.
 */
export const ROUNDED = `
  float rounded(float v) { return uintBitsToFloat(floatBitsToUint(v) ^ uint(nothing)); }`;

/**
 * `ceilOfQuotient(a, n)`: ceil(a / n), at least 0, for a whole n. The GPU's division may be off by a few last bits, which would turn an exact quotient
 * into the next whole number.
 */
export const CEIL_OF_QUOTIENT = `
  float ceilOfQuotient(float a, float n) {
    float c = ceil(a / n);
    return max((c - 1.0) * n >= a ? c - 1.0 : c, 0.0);
  }`;

/** `sineAndCosine(degrees)`: good to the last bits, which the GPU's own functions need not be. */
export const SINE_AND_COSINE = `
  vec2 sineAndCosine(float degrees) {
    float turns = floor(degrees / 90.0 + 0.5);
    float x = (degrees - turns * 90.0) * 0.017453292519943295;
    float z = x * x;
    float s = x * (1.0 - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0 * (1.0 - z / 72.0))));
    float c = 1.0 - z / 2.0 * (1.0 - z / 12.0 * (1.0 - z / 30.0 * (1.0 - z / 56.0 * (1.0 - z / 90.0))));
    int quarter = int(turns) & 3;
    if (quarter == 0) return vec2(s, c);
    if (quarter == 1) return vec2(c, -s);
    return quarter == 2 ? vec2(-s, -c) : vec2(-c, s);
  }`;

export const int = (value: number): Uniform => ({ type: 'int', value });
export const float = (value: number): Uniform => ({ type: 'float', value });

const length = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Runs a program and returns its output. */
export function runFragments(
  backend: WebglBackend,
  { code, inputs, uniforms, output, dtype = 'float32' }: FlatFragmentProgram,
): TensorInfo {
  const names = Object.keys(uniforms);
  const unpacked: TensorInfo[] = [];
  const flat = Object.values(inputs).map((tensor) => {
    let plain = tensor;
    if (backend.texData.get(tensor.dataId).isPacked) {
      // Four values a texel are laid out by the tensor's own shape: as a row it can be seen only when taken apart.
      plain = backend.unpackTensor(tensor);
      unpacked.push(plain);
    }
    return { ...plain, shape: [length(tensor.shape)] };
  });
  const { dataId } = backend.runWebGLProgram(
    {
      variableNames: Object.keys(inputs),
      // A row: of another rank than the inputs, for an input that happens to be as large would else be compiled another time.
      outputShape: [1, length(output)],
      userCode: `${code}
  void main() { setOutput(run(getOutputCoords().y)); }`,
      enableShapeUniforms: true,
      customUniforms: names.map((name) => ({ name, type: uniforms[name].type })),
    },
    flat,
    dtype,
    names.map((name) => [uniforms[name].value]),
  );
  for (const tensor of unpacked) backend.disposeIntermediateTensorInfo(tensor);
  return { dataId, shape: output, dtype };
}

/** The values of a tensor if they are on the host; undefined where reading them would wait for the GPU. */
export function hostValues(backend: WebglBackend, tensor: TensorInfo): backend_util.BackendValues | undefined {
  return backend.texData.get(tensor.dataId).values ?? undefined;
}

/** @throws BackendError where textures do not hold float32 @param what needs them */
export function assertFloat32(what: string): void {
  if (env().getNumber('WEBGL_VERSION') === 2 && env().getBool('WEBGL_RENDER_FLOAT32_ENABLED')) return;
  throw new BackendError(
    `${what} on webgl needs WebGL 2 and float32 textures: with half the precision box coordinates move by pixels. Take wasm.`,
  );
}
