import { ArgumentError, BackendError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import { DEVICES, type BackendInfo, type ConcreteDevice, type Device } from './device.js';

/** What a start tells. */
export type Started = Pick<BackendInfo, 'description' | 'software'>;

/**
 * Starts a device by name, or the first of `order` that works.
 * @param start answers with a description, or throws a BackendError that says what to do; is told whether `auto` asks
 * @throws ArgumentError for a name that is none; BackendError where nothing works
 */
export async function chooseDevice(
  device: Device,
  order: readonly ConcreteDevice[],
  start: (device: ConcreteDevice, automatic: boolean) => Promise<string | Started>,
): Promise<BackendInfo> {
  if (!DEVICES.includes(device)) {
    const near = nearestNames(String(device), DEVICES, 1);
    throw new ArgumentError(
      `unknown device "${device}"${near.length ? ` (did you mean ${near.join(' or ')}?)` : ''}: one of ${DEVICES.join(', ')}`,
    );
  }
  if (device !== 'auto') return { device, ...described(await start(device, false)), skipped: [] };
  const skipped: BackendInfo['skipped'] = [];
  for (const candidate of order) {
    try {
      return { device: candidate, ...described(await start(candidate, true)), skipped };
    } catch (error) {
      skipped.push({ device: candidate, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new BackendError(`no device works here: ${skipped.map((s) => s.reason).join('; ')}`);
}

function described(started: string | Started): Started {
  return typeof started === 'string' ? { description: started } : started;
}
