import type { DataId, TensorInfo } from '@tensorflow/tfjs-core';
import { Arena } from '../kernels/arena.js';
import { regionGeometry } from './geometry.js';
import type { RoiAlignAttributes } from './kernel_names.js';
import { backwardKernel, recordBytes, type RoiAlignKernel, scratchBytes, writeRecords } from './records.js';

/** How a backend's tensors are reached from the host. */
export interface HostTensors {
  /** Whether the data still exist; the copy of disposed data is dropped. */
  has(dataId: DataId): boolean;
  read(tensor: TensorInfo): Float32Array;
  /** Makes a tensor of a copy of the values, which lie in the kernels' memory and are overwritten after the call. */
  make(values: Float32Array, shape: number[]): TensorInfo;
}

/** Results begin this many bytes after an aligned address: TensorFlow would share, not copy, memory aligned to 64 bytes. */
const UNALIGNED = 16;

const size = (shape: number[]): number => shape.reduce((a, b) => a * b, 1);

/**
 * RoIAlign for backends whose tensors the kernels cannot see: maps are copied into an arena and pooled there.
 * The copies of the maps are kept while their tensors live, so that the box and the mask branch read a pyramid once.
 */
export class HostRoiAlign {
  private readonly arena = new Arena();
  private readonly copies = new Map<DataId, number>();

  constructor(private readonly tensors: HostTensors) {}

  /** @returns [R, h, w, C] */
  forward(maps: TensorInfo[], rois: TensorInfo, attributes: RoiAlignAttributes): TensorInfo {
    const { outputSize, shapes, levels } = attributes;
    const shape = [levels.length, ...outputSize, shapes[0][3]];
    if (size(shape) === 0) return this.tensors.make(new Float32Array(0), shape);
    this.dropCopies();
    const used = new Set(levels);
    const addresses = maps.map((map, level) => (used.has(level) ? this.copyOf(map) : 0));
    const block = this.arena.allocate(UNALIGNED + 4 * size(shape));
    const pooled = block + UNALIGNED;
    try {
      this.run('roiAlignForward', rois, attributes, addresses, pooled);
      return this.tensors.make(this.arena.floats(pooled, size(shape)), shape);
    } finally {
      this.arena.release(block);
    }
  }

  /** @returns the gradients of the maps */
  backward(dy: TensorInfo, rois: TensorInfo, attributes: RoiAlignAttributes): TensorInfo[] {
    const { shapes } = attributes;
    this.dropCopies();
    const sizes = shapes.map(size);
    const blocks = [size(dy.shape), ...sizes].map((length) => this.arena.allocate(UNALIGNED + 4 * length));
    try {
      const [pooled, ...addresses] = blocks.map((block) => block + UNALIGNED);
      if (size(dy.shape) > 0) this.arena.floats(pooled, size(dy.shape)).set(this.tensors.read(dy));
      addresses.forEach((address, level) => this.arena.floats(address, sizes[level]).fill(0));
      if (size(dy.shape) > 0) this.run(backwardKernel(attributes.samplingRatio), rois, attributes, addresses, pooled);
      return addresses.map((address, level) => this.tensors.make(this.arena.floats(address, sizes[level]), shapes[level]));
    } finally {
      for (const block of blocks) this.arena.release(block);
    }
  }

  private run(
    kernel: RoiAlignKernel,
    rois: TensorInfo,
    { outputSize, shapes, levels, ...options }: RoiAlignAttributes,
    maps: number[],
    pooled: number,
  ): void {
    const regions = regionGeometry(this.tensors.read(rois), levels, shapes, { outputSize, ...options });
    const scratch = this.arena.allocate(scratchBytes(regions, shapes, outputSize));
    const records = this.arena.allocate(recordBytes(regions.count));
    try {
      writeRecords(kernel, this.arena.memory.buffer, records, regions, maps, shapes, pooled, outputSize);
      this.arena.kernels[kernel](records, regions.count, ...outputSize, shapes[0][3], scratch);
    } finally {
      this.arena.release(records);
      this.arena.release(scratch);
    }
  }

  /** The address of the map's copy, made now if there is none yet. */
  private copyOf(map: TensorInfo): number {
    let address = this.copies.get(map.dataId);
    if (address === undefined) {
      const values = this.tensors.read(map);
      address = this.arena.allocate(4 * values.length);
      this.arena.floats(address, values.length).set(values);
      this.copies.set(map.dataId, address);
    }
    return address;
  }

  private dropCopies(): void {
    for (const [dataId, address] of this.copies) {
      if (this.tensors.has(dataId)) continue;
      this.arena.release(address);
      this.copies.delete(dataId);
    }
  }
}

/** One `HostRoiAlign` for each backend instance, made at first use and collected with the backend. */
export class HostRoiAlignOf<B extends object> {
  private readonly instances = new WeakMap<B, HostRoiAlign>();

  constructor(private readonly access: (backend: B) => HostTensors) {}

  of(backend: B): HostRoiAlign {
    let instance = this.instances.get(backend);
    if (!instance) this.instances.set(backend, (instance = new HostRoiAlign(this.access(backend))));
    return instance;
  }
}
