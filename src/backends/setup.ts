export { setupNative, type SetupOptions, type SetupReport } from './setup/setup.js';
export type { SetupProgress } from './setup/progress.js';
