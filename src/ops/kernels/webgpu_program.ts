import type { backend_util, DataId, DataType, TensorInfo } from '@tensorflow/tfjs-core';

/** The limits of a device that kernels ask for. */
type GpuLimit = 'maxBufferSize' | 'maxComputeWorkgroupStorageSize' | 'maxStorageBufferBindingSize';

/** What is used of the TensorFlow.js webgpu backend. */
export interface WebGpuBackend {
  readonly device: { readonly limits: Readonly<Record<GpuLimit, number>> };
  tensorMap: { get(dataId: DataId): { values?: backend_util.BackendValues | null } };
  makeTensorInfo(shape: number[], dtype: DataType, values?: backend_util.BackendValues): TensorInfo;
  disposeData(dataId: DataId): boolean;
  runWebGPUProgram(
    program: object,
    inputs: TensorInfo[],
    dtype: DataType,
    uniforms?: { type: string; data: number[] }[],
    output?: TensorInfo,
  ): TensorInfo;
}

/** A scalar uniform of a program. */
export interface Uniform {
  type: 'i32' | 'f32';
  value: number;
}

/**
 * A WGSL program over flat arrays. Inputs are `array<f32>` (`array<i32>` for int32 tensors; `array<vec4<f32>>` with 4 components) under
 * their names, the output is `result`, sizes come as scalar uniforms: nothing of the source, and so nothing that is compiled, depends on a size.
 */
export interface FlatProgram {
  /** Names the source: programs of one key must have the same code, inputs and uniforms. */
  key: string;
  /** WGSL that defines `fn run(index : i32)`, called for every index below `threads`; helper functions may stand before it. */
  code: string;
  /** Name, tensor and floats per element, in order. */
  inputs: { name: string; tensor: TensorInfo; components?: 1 | 4 }[];
  /** By name; WGSL reads `uniforms.<name>`. */
  uniforms: Record<string, Uniform>;
  threads?: number;
  /** The result's shape; or a tensor that exists and is written into. */
  output: number[] | TensorInfo;
  dtype?: 'float32' | 'int32';
  outputComponents?: 1 | 4;
  /**
   * Instead of a thread for each index, so many groups of 256 threads that work together: the code then defines `fn run(group : i32, thread : i32)`,
   * may declare `var<workgroup>` and may call barriers; `threads` is not used.
   */
  groups?: number;
  /** `result` is `array<atomic<i32>>`, with {@link ATOMIC_ADD} for floats; `output` must exist. */
  atomic?: boolean;
}

const WORKGROUP = 64;

/** Threads of a group that works together: what every WebGPU device has. */
export const GROUP_THREADS = 256;

/** `addAt(i, v)`: adds a float to a result of atomic integers, bit pattern by bit pattern. */
export const ATOMIC_ADD = `
  fn addAt(i : i32, v : f32) {
    if (v == 0.0) { return; }
    var old = atomicLoad(&result[i]);
    loop {
      let r = atomicCompareExchangeWeak(&result[i], old, bitcast<i32>(bitcast<f32>(old) + v));
      if (r.exchanged) { break; }
      old = r.old_value;
    }
  }`;

/**
 * `ceilOfQuotient(a, n)`: ceil(a / n), at least 0, for a whole n. The GPU's division may be off by a few last bits, which would turn an exact quotient
 * into the next whole number.
 */
export const CEIL_OF_QUOTIENT = `
  fn ceilOfQuotient(a : f32, n : f32) -> f32 {
    let c = ceil(a / n);
    return max(select(c, c - 1.0, (c - 1.0) * n >= a), 0.0);
  }`;

/** `orderedBits(v)`: float bits as unsigned numbers of the same order; both zeros are one, and what is not a number is above all. */
export const ORDERED_BITS = `
  fn orderedBits(v : f32) -> u32 {
    let bits = bitcast<u32>(v);
    let magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) { return 0xffffffffu; }
    if (magnitude == 0u) { return 0x80000000u; }
    return select(bits | 0x80000000u, ~bits, bits != magnitude);
  }`;

/**
 * `rounded(v)`: a result as float32. Compilers may fuse a product with the sum it goes into, or reorder sums; not across the bits of a number when
 * they cannot know that nothing is changed in them. Needs the uniform `nothing`, an integer 0.
 */
export const ROUNDED = `
  fn rounded(v : f32) -> f32 { return bitcast<f32>(bitcast<u32>(v) ^ u32(uniforms.nothing)); }`;

/** `sineAndCosine(degrees)`: good to the last bits, which the GPU's own functions need not be. */
export const SINE_AND_COSINE = `
  fn sineAndCosine(degrees : f32) -> vec2<f32> {
    let quarter = round(degrees / 90.0);
    let x = (degrees - quarter * 90.0) * 0.017453292519943295;
    let z = x * x;
    let s = x * (1.0 - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0 * (1.0 - z / 72.0))));
    let c = 1.0 - z / 2.0 * (1.0 - z / 12.0 * (1.0 - z / 30.0 * (1.0 - z / 56.0 * (1.0 - z / 90.0))));
    switch (i32(quarter) & 3) {
      case 0 { return vec2<f32>(s, c); }
      case 1 { return vec2<f32>(c, -s); }
      case 2 { return vec2<f32>(-s, -c); }
      default { return vec2<f32>(-c, s); }
    }
  }`;

export const i32 = (value: number): Uniform => ({ type: 'i32', value });
export const f32 = (value: number): Uniform => ({ type: 'f32', value });

const length = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** The same data seen as one row: what a rank or a size of 1 means to the compiler's key stays out of it. */
const flat = (tensor: TensorInfo): TensorInfo => ({ ...tensor, shape: [length(tensor.shape)] });

/** An output seen as a column: an input that happens to be as large, or of one value, would else be compiled another time. */
const column = (shape: readonly number[]): number[] => [length(shape), 1];

/**
 * Runs a program and returns its output. No inputs or outputs of size 0: such a binding is invalid, and the GPU says so long after.
 */
export function runFlat(backend: WebGpuBackend, program: FlatProgram): TensorInfo {
  const { key, code, inputs, uniforms, threads = 0, output, dtype = 'float32', outputComponents = 1, atomic = false } = program;
  const shape = Array.isArray(output) ? output : output.shape;
  const groups = Math.ceil(threads / WORKGROUP);
  // Always two dimensions: tfjs compiles one-dimensional dispatches differently, and their limit is soon reached.
  const rows = Math.max(2, Math.ceil(groups / 32768));
  const names = Object.keys(uniforms);
  const result = backend.runWebGPUProgram(
    {
      shaderKey: `maskrcnn_${key}`,
      variableNames: inputs.map(({ name }) => name),
      variableComponents: inputs.map(({ components = 1 }) => components),
      outputComponent: outputComponents,
      outputShape: column(shape),
      uniforms: ['threads : i32,', ...names.map((name) => `${name} : ${uniforms[name].type},`)].join(' '),
      workgroupSize: [program.groups === undefined ? WORKGROUP : GROUP_THREADS, 1, 1],
      dispatchLayout: { x: [0, 1] },
      dispatch: program.groups === undefined ? [Math.ceil(groups / rows), rows, 1] : [program.groups, 1, 1],
      ...(atomic ? { atomic } : {}),
      getUserCode: () =>
        program.groups === undefined
          ? `${code}
        fn main(index : i32) { if (index < uniforms.threads) { run(index); } }`
          : `${code}
        fn main(index : i32) { run(i32(workgroupId.x), i32(localIndex)); }`,
    },
    inputs.map(({ tensor }) => flat(tensor)),
    dtype,
    [
      { type: 'int32', data: [threads] },
      ...names.map((name) => ({ type: uniforms[name].type === 'i32' ? 'int32' : 'float32', data: [uniforms[name].value] })),
    ],
    Array.isArray(output) ? undefined : { ...output, shape: column(shape) },
  );
  return { dataId: result.dataId, shape, dtype };
}

/** A tensor of zeros, freshly filled: buffers are used again. */
export function zeros(backend: WebGpuBackend, shape: number[]): TensorInfo {
  if (length(shape) === 0) return backend.makeTensorInfo(shape, 'float32', new Float32Array(0));
  return runFlat(backend, {
    key: 'zeros',
    code: 'fn run(index : i32) { result[index] = 0.0; }',
    inputs: [],
    uniforms: {},
    threads: length(shape),
    output: shape,
  });
}

/** The values of a tensor if they are still (or already) on the host; undefined where reading them would wait for the GPU. */
export function hostValues(backend: WebGpuBackend, tensor: TensorInfo): backend_util.BackendValues | undefined {
  return backend.tensorMap.get(tensor.dataId).values ?? undefined;
}
