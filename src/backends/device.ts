/** What a user can ask for; `auto` takes the fastest that works. */
export type Device = 'auto' | 'tensorflow' | 'webgpu' | 'webgl' | 'wasm' | 'cpu';

/** A device that computes; the names are also TensorFlow.js's backend names. */
export type ConcreteDevice = Exclude<Device, 'auto'>;

/** Every name that {@link Device} allows, the fastest first after `auto`. */
export const DEVICES: readonly Device[] = ['auto', 'tensorflow', 'webgpu', 'webgl', 'wasm', 'cpu'];

/** What was started. */
export interface BackendInfo {
  device: ConcreteDevice;
  /** In words, with versions: `libtensorflow 2.21.0 through @tensorflow/tfjs-node 4.22.0, CPU`. */
  description: string;
  /** A graphics interface whose driver computes on the processor: for tests, slower than the plain devices. */
  software?: true;
  /** With `auto`: the faster devices that do not work here, and why. */
  skipped: { device: ConcreteDevice; reason: string }[];
}
