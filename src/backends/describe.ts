import { availableParallelism, freemem, totalmem } from 'node:os';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { corePathFrom } from './core_copies.js';
import type { ConcreteDevice } from './device.js';
import { findNativePackages, type NativePackage } from './native_package.js';
import { probe } from './probe.js';

/** One device on this machine. */
export interface DeviceFacts {
  device: ConcreteDevice;
  works: boolean;
  /** Works, but on the processor through a graphics interface: `auto` never takes it. */
  software?: true;
  /** What runs it, with versions; where it does not work, why. */
  description: string;
  /** The one command that makes it work, where there is one. */
  fix?: string;
  /** Speed of a 3x3 convolution in 10^9 operations a second. */
  gflops?: number;
}

/** What `maskrcnn doctor` tells. */
export interface MachineFacts {
  node: string;
  nodeSupported: boolean;
  platform: string;
  cpus: number;
  memoryGiB: { total: number; free: number };
  tfjsCore: { version: string; path: string } | undefined;
  nativePackages: NativePackage[];
  devices: DeviceFacts[];
  /** What `auto` takes here. */
  auto: ConcreteDevice | undefined;
}

/** Tries every device of Node in a process of its own, one after the other (a few seconds), and collects what the machine has. */
export async function describeMachine(): Promise<MachineFacts> {
  const core = corePathFrom(import.meta.url);
  const devices: DeviceFacts[] = [];
  for (const device of ['tensorflow', 'webgpu', 'wasm', 'cpu'] as const) devices.push(await describeDevice(device));
  const [major, minor] = process.versions.node.split('.').map(Number);
  const GiB = 2 ** 30;
  return {
    node: process.versions.node,
    nodeSupported: major > 20 || (major === 20 && minor >= 9),
    platform: `${process.platform}-${process.arch}`,
    cpus: availableParallelism(),
    memoryGiB: { total: totalmem() / GiB, free: freemem() / GiB },
    tfjsCore:
      core === undefined
        ? undefined
        : { version: (JSON.parse(readFileSync(join(core, 'package.json'), 'utf8')) as { version: string }).version, path: core },
    nativePackages: findNativePackages(),
    devices,
    auto: devices.find((d) => d.works && !d.software)?.device,
  };
}

async function describeDevice(device: ConcreteDevice): Promise<DeviceFacts> {
  const answer = await probe(device);
  if (answer.ok) {
    const { description, software, gflops } = answer.result;
    return { device, works: true, ...(software ? { software } : {}), description, gflops };
  }
  const sentence = / Run `([^`]+)`\.$/.exec(answer.reason);
  return {
    device,
    works: false,
    description: answer.reason.replace(/^device \w+: /, '').replace(/ Run `[^`]+`\.$/, ''),
    fix: sentence?.[1],
  };
}
