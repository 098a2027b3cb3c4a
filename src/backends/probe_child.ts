// Run as a process of its own: a library that crashes while it loads must not take the caller along.
import { probeDevice } from './convolution_probe.js';
import type { ConcreteDevice } from './device.js';

const device = process.argv[2] as ConcreteDevice;
let answer: object;
try {
  answer = { ok: true, result: await probeDevice(device) };
} catch (error) {
  answer = { ok: false, reason: error instanceof Error ? error.message : String(error) };
}
process.send?.(answer, () => process.disconnect());
