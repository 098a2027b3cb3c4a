import { ConfigError } from '../errors.js';
import { setKey } from './merge.js';
import type { Config } from './schema.js';

/**
 * Applies `KEY=VALUE` overrides in order, in place. Values are Python literals as on Detectron2's command line (`INPUT.MIN_SIZE_TRAIN=(640,800)`),
 * anything else is a string; a list may also be written without brackets (`640,800`).
 * @throws ConfigError on a missing `=`, an unknown key or a wrong type
 */
export function applyOverrides(config: Config, overrides: readonly string[], warnings: string[]): void {
  for (const override of overrides) {
    const equals = override.indexOf('=');
    const key = override.slice(0, equals).trim();
    if (equals < 0 || !/^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$/.test(key))
      throw new ConfigError(
        `the override ${JSON.stringify(override)} must be KEY=VALUE, such as MODEL.ROI_HEADS.SCORE_THRESH_TEST=0.5`,
      );
    setKey(config, key, override.slice(equals + 1).trim(), 'the command line', warnings);
  }
}
