import type { backend_util, DataId, DataType, TensorInfo } from '@tensorflow/tfjs-core';
import { instantiateKernels, type Kernels } from './kernels.js';

/** What is used of the TensorFlow.js wasm backend. */
export interface WasmBackend {
  wasm: { _malloc(bytes: number): number; _free(address: number): void } & Record<string, unknown>;
  dataIdMap: { has(dataId: DataId): boolean; get(dataId: DataId): { memoryOffset: number } };
  makeOutput(shape: number[], dtype: DataType, memoryOffset?: number, values?: backend_util.BackendValues): TensorInfo;
  typedArrayFromHeap(tensor: TensorInfo): backend_util.TypedArray;
}

/** The host kernels on the wasm backend's own heap, where its tensors lie. */
export interface WasmHeap {
  memory: WebAssembly.Memory;
  kernels: Kernels;
  /** @returns an address, 0 when there is no memory */
  allocate(bytes: number): number;
  release(address: number): void;
}

/** Where a tensor lies on the heap. */
export function addressOf(backend: WasmBackend, { dataId }: Pick<TensorInfo, 'dataId'>): number {
  return backend.dataIdMap.get(dataId).memoryOffset;
}

const heaps = new WeakMap<WasmBackend, WasmHeap | undefined>();

/**
 * @returns the kernels on the backend's heap, or undefined where the build does not show its memory (the place is unofficial:
 *   among the module's exports) or the memory is shared between threads, which the kernels' import does not accept
 */
export function wasmHeap(backend: WasmBackend): WasmHeap | undefined {
  if (!heaps.has(backend)) heaps.set(backend, openHeap(backend));
  return heaps.get(backend);
}

function openHeap({ wasm }: WasmBackend): WasmHeap | undefined {
  const memory = [wasm.wasmMemory, ...Object.values((wasm.asm as object | undefined) ?? {})].find(
    (it) => it instanceof WebAssembly.Memory,
  );
  if (!memory || !(memory.buffer instanceof ArrayBuffer)) return undefined;
  return {
    memory,
    kernels: instantiateKernels(memory),
    allocate: (bytes) => wasm._malloc(bytes),
    release: (address) => wasm._free(address),
  };
}
