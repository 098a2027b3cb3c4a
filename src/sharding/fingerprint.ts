import { createHash } from 'node:crypto';
import { dumpConfig, type Config } from '../config/index.js';
import { hashFile } from '../model_zoo/download.js';

/** A short hash of values; equal values have equal ones on every machine. */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** What the numbers of a model depend on: its configuration, the content of its weight file, and the device that computes. */
export async function modelFingerprint(predictor: {
  readonly config: Config;
  readonly loadReport: { readonly source: string };
  readonly device: string;
}): Promise<Record<'configuration' | 'weights' | 'device', string>> {
  return {
    configuration: fingerprint(dumpConfig(predictor.config)),
    weights: (await hashFile(predictor.loadReport.source)).sha256.slice(0, 16),
    device: predictor.device,
  };
}
