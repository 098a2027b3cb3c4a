import { defineConfig } from 'vitest/config';

// One backend per process: the native addon cannot be loaded in worker threads.
export default defineConfig({
  test: {
    pool: 'forks',
    include: ['tests/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
