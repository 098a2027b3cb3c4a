import { BackendError } from '../errors.js';

/** What went wrong on a GPU device: a GPU reports errors beside the program, not where they happen. */
interface Health {
  /** Set for good once the device is gone. */
  lost?: string;
  /** The first error since the last check. */
  error?: string;
  /** Settles when `lost` is set. */
  gone?: Promise<void>;
}

/** The parts of a GPUDevice that are watched. */
export interface WatchedDevice {
  lost: Promise<{ reason?: string; message: string }>;
  addEventListener(
    type: 'uncapturederror',
    listener: (event: { error: { message: string }; preventDefault?(): void }) => void,
  ): void;
}

/** By tfjs backend instance, so that a backend that was started anew begins healthy. */
const watched = new WeakMap<object, Health>();

/** Starts to listen to a device on behalf of its tfjs backend; once for each backend. */
export function watchDevice(backend: object, device: WatchedDevice): void {
  if (watched.has(backend)) return;
  const health: Health = {};
  watched.set(backend, health);
  health.gone = device.lost.then(({ reason, message }) => {
    health.lost = `${reason ?? 'unknown'}: ${message || 'no message'}`;
  });
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault?.();
    health.error ??= event.error.message.trim().split('\n')[0];
  });
}

/** Longest wait for a device's last words, in milliseconds. */
const LAST_WORDS = 1000;

/** After a read that failed: a device that goes away ends its reads a moment before it says that it is lost. */
export async function hearLastWords(backend: object): Promise<void> {
  const gone = watched.get(backend)?.gone;
  if (gone) await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, LAST_WORDS))]);
}

/** Whether the backend's device is gone. */
export function isLost(backend: object): boolean {
  return watched.get(backend)?.lost !== undefined;
}

/**
 * Says what happened to the device since the last check.
 *
 * @throws BackendError for a lost device (each time), and for an error of a kernel or of memory (once: what was computed before is not to be trusted,
 *   what comes after may be right).
 */
export function checkDevice(backend: object): void {
  const health = watched.get(backend);
  if (!health) return;
  if (health.lost !== undefined) {
    throw new BackendError(
      `device webgpu: the GPU device was lost (${health.lost}). Dispose of the predictor or trainer and load a new one: that starts a new device.`,
    );
  }
  if (health.error !== undefined) {
    const { error } = health;
    delete health.error;
    throw new BackendError(
      `device webgpu: the GPU reported an error, so its results are not to be trusted: ${error}. ` +
        'Where it is out of memory, take smaller images or batches; else try another device.',
    );
  }
}
