import { findNativePackages } from '../../src/backends/native_package.js';

/** Why tests of the native backend are skipped here; undefined where it is installed, or where MASKRCNN_REQUIRE_NATIVE=1 lets them fail instead. */
export function nativeReason(): string | undefined {
  if (process.env.MASKRCNN_REQUIRE_NATIVE === '1') return undefined;
  return findNativePackages().some((p) => p.addonExists)
    ? undefined
    : 'skipped: no native backend installed; `npx maskrcnn setup` gives one';
}
