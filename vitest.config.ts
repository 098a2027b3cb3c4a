import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { softwareVulkan } from './tests/software_vulkan.js';

// `npm run test:webgpu`: the device-independent tables once more, on webgpu alone and in processes of its own.
// `npm run test:browser`: the library and the page in a real Chromium; builds bundles, so it takes a minute.
const INCLUDED: Record<string, string[]> = {
  webgpu: [
    'tests/backends/webgpu.test.ts',
    'tests/roi_heads/crop_pooler.test.ts',
    'tests/ops/**/*.test.ts',
    'tests/autodiff/**/*.test.ts',
    'tests/layers/batch_norm_op.test.ts',
    'tests/layers/conv_transpose4x4.test.ts',
    'tests/layers/grouped_conv2d.test.ts',
    'tests/layers/upsample_*.test.ts',
    'tests/losses/**/*.test.ts',
    'tests/rpn/proposal_kernel.test.ts',
    'tests/meta_arch/dense_kernel.test.ts',
    'tests/semantic/semantic_labels.test.ts',
    'tests/engine/warm_up*.test.ts',
    'tests/engine/webgpu_training.test.ts',
  ],
  browser: ['tests/browser/**/*.test.ts'],
};

export default defineConfig(({ mode }) => ({
  test: {
    // One backend per process: the native addon cannot be loaded in worker threads.
    pool: 'forks',
    // Vitest leaves a core to the terminal, which of two is half. What runs in a browser or on a driver in software takes all of them itself.
    maxWorkers: mode === 'test' ? Math.max(2, availableParallelism() - 1) : 1,
    minWorkers: 1,
    include: INCLUDED[mode] ?? ['tests/**/*.test.ts'],
    exclude: mode === 'browser' ? [] : ['tests/browser/**'],
    globalSetup: mode === 'browser' ? ['tests/browser/site_folder.ts'] : [],
    // Browsers compute on a driver in software, which needs all of the processor.
    testTimeout: mode === 'test' ? 240_000 : 600_000,
    hookTimeout: mode === 'browser' ? 600_000 : 240_000,
    env: mode === 'webgpu' ? { MASKRCNN_TEST_DEVICES: 'webgpu', ...softwareVulkan() } : {},
  },
}));
