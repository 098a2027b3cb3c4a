import { defineConfig } from 'vitest/config';
import { softwareVulkan } from './tests/software_vulkan.js';

// `npm run test:webgpu`: the device-independent tables once more, on webgpu alone and in processes of its own.
export default defineConfig(({ mode }) => ({
  test: {
    // One backend per process: the native addon cannot be loaded in worker threads.
    pool: 'forks',
    include: mode === 'webgpu' ? ['tests/backends/webgpu.test.ts', 'tests/ops/**/*.test.ts'] : ['tests/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    env: mode === 'webgpu' ? { MASKRCNN_TEST_DEVICES: 'webgpu', ...softwareVulkan() } : {},
  },
}));
