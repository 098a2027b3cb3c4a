import { ArgumentError, BackendError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import { DEVICES, type BackendInfo, type ConcreteDevice, type Device } from './device.js';

/**
 * Starts a device by name, or the first of `order` that works.
 * @param start answers with a description, or throws a BackendError that says what to do
 * @throws ArgumentError for a name that is none; BackendError where nothing works
 */
export async function chooseDevice(
  device: Device,
  order: readonly ConcreteDevice[],
  start: (device: ConcreteDevice) => Promise<string>,
): Promise<BackendInfo> {
  if (!DEVICES.includes(device)) {
    const near = nearestNames(String(device), DEVICES, 1);
    throw new ArgumentError(
      `unknown device "${device}"${near.length ? ` (did you mean ${near.join(' or ')}?)` : ''}: one of ${DEVICES.join(', ')}`,
    );
  }
  if (device !== 'auto') return { device, description: await start(device), skipped: [] };
  const skipped: BackendInfo['skipped'] = [];
  for (const candidate of order) {
    try {
      return { device: candidate, description: await start(candidate), skipped };
    } catch (error) {
      skipped.push({ device: candidate, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new BackendError(`no device works here: ${skipped.map((s) => s.reason).join('; ')}`);
}
