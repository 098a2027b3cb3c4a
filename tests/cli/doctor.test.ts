import { describe, expect, it } from 'vitest';
import type { MachineFacts } from '../../src/backends/describe.js';
import { formatFacts } from '../../src/cli/doctor.js';
import { nativeReason } from '../backends/native.js';
import { runMain } from './run_main.js';

const missing = nativeReason();
const facts: MachineFacts = {
  node: '20.9.0',
  nodeSupported: true,
  platform: 'linux-x64',
  cpus: 2,
  memoryGiB: { total: 8, free: 4 },
  tfjsCore: { version: '4.22.0', path: '/p' },
  nativePackages: [],
  devices: [
    { device: 'tensorflow', works: false, description: '@tensorflow/tfjs-node is not installed.', fix: 'npx maskrcnn setup' },
    { device: 'wasm', works: true, description: 'WebAssembly with SIMD, one thread', gflops: 25.4 },
  ],
  auto: 'wasm',
};

describe('maskrcnn doctor', () => {
  it('says what works, what does not, and the command', () => {
    expect(formatFacts(facts)).toBe(
      [
        'Node 20.9.0, linux-x64, 2 CPU cores, 8.0 GiB memory (4.0 free)',
        'TensorFlow.js 4.22.0 (/p)',
        '',
        'no  tensorflow @tensorflow/tfjs-node is not installed.',
        '               fix: npx maskrcnn setup',
        'ok  wasm       WebAssembly with SIMD, one thread; 25 GFLOP/s in a 3x3 convolution',
        '',
        '--device auto takes wasm here.',
        '',
      ].join('\n'),
    );
  });

  it('tries each device in a process of its own and prints JSON', async () => {
    const { code, out } = await runMain(['doctor', '--json']);
    expect(code).toBe(0);
    const real = JSON.parse(out) as MachineFacts;
    expect(real.devices.map((d) => d.device)).toEqual(['tensorflow', 'webgpu', 'wasm', 'cpu']);
    expect(real.devices.filter((d) => d.works).map((d) => d.device)).toEqual(expect.arrayContaining(['wasm', 'cpu']));
    for (const d of real.devices.filter((x) => x.works)) expect(d.gflops).toBeGreaterThan(d.software ? 0 : 0.01);
    const native = real.devices[0];
    if (!native.works) expect(native.fix).toBe('npx maskrcnn setup');
  });

  it.skipIf(missing)(`finds the native backend${missing ? ` (${missing})` : ''}`, async () => {
    const real = JSON.parse((await runMain(['doctor', '--json'])).out) as MachineFacts;
    expect(real.auto).toBe('tensorflow');
    expect(real.nativePackages.some((p) => p.addonExists)).toBe(true);
  });
});
