import type { Command } from 'commander';
import { registerCheck } from './dataset_check.js';
import { registerCombine } from './dataset_combine.js';
import { registerConvert } from './dataset_convert.js';
import { registerLook } from './dataset_look.js';
import { registerPreview } from './dataset_preview.js';

/** `maskrcnn dataset`: look at, check, mend, divide and convert COCO data sets. Each group of subcommands has a file of its own. */
export function register(program: Command): void {
  const dataset = program
    .command('dataset')
    .description('check, describe, browse, split, merge, remap, import and export data sets');
  registerCheck(dataset);
  registerLook(dataset);
  registerPreview(dataset);
  registerCombine(dataset);
  registerConvert(dataset);
}
