import type { ModelSource } from '../engine/load_model.js';
import type { Predictor, PredictorOptions } from '../engine/predictor.js';
import { ArgumentError } from '../errors.js';
import { progressLine } from './progress_line.js';

/** The options that name a model. */
export interface ModelFlags {
  model?: string;
  config?: string;
  weights?: string;
  device: string;
  offline?: boolean;
}

/** Loads the named model: a download is shown, and so are the keys of its config that have no effect. */
export async function loadPredictor(
  flags: ModelFlags,
  options: Pick<PredictorOptions, 'scoreThreshold' | 'overrides'> = {},
): Promise<Predictor> {
  const source = await modelSource(flags);
  const { Predictor } = await import('../engine/predictor.js');
  const download = await progressLine('downloading weights', 'MB');
  try {
    return await Predictor.load(source, {
      ...options,
      device: flags.device as 'auto',
      offline: flags.offline ?? false,
      onProgress: (received, total) => download.update(received, total),
      onWarning: (line) => void process.stderr.write(`warning: ${line}\n`),
    });
  } finally {
    download.stop();
  }
}

/** What `--tta` and `--tta-sizes` set. @throws ArgumentError for sizes without `--tta`, or that are none */
export function augmentationOverrides({ tta, ttaSizes }: { tta?: boolean; ttaSizes?: string }): string[] {
  if (!tta && ttaSizes !== undefined) throw new ArgumentError('--tta-sizes goes with --tta.');
  if (!tta) return [];
  if (ttaSizes === undefined) return ['TEST.AUG.ENABLED=true'];
  if (!/^\d+(,\d+)*$/.test(ttaSizes))
    throw new ArgumentError(`--tta-sizes is '${ttaSizes}'; expected short sides in pixels, such as 400,600,800.`);
  return ['TEST.AUG.ENABLED=true', `TEST.AUG.MIN_SIZES=[${ttaSizes}]`];
}

/** `--model`, or `--weights` with `--config` (without, where the weights tell it); the model that ships where none is named. */
export async function modelSource({ model, config, weights }: Omit<ModelFlags, 'device'>): Promise<ModelSource> {
  if (model !== undefined) {
    if (config !== undefined || weights !== undefined) throw new ArgumentError('--model goes without --config and --weights.');
    return model;
  }
  if (weights !== undefined) return { weights, ...(config === undefined ? {} : { config }) };
  if (config !== undefined) throw new ArgumentError('--config goes with --weights; give both, or --model.');
  const { shippedModelFolder } = await import('../model_zoo/shipped_model.js');
  return shippedModelFolder();
}
