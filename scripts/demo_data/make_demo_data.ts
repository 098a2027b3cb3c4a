import { Command } from 'commander';
import { makeDemoData } from './demo_data.js';

const program = new Command('make-demo-data')
  .description(
    'Composes a COCO data set with exact masks from emoji art: train, val (other compositions) and held_out_artist (drawings never seen in train).',
  )
  .option('--output <dir>', 'where to write', 'demo_data')
  .option('--train <n>', 'training pictures', '5000')
  .option('--val <n>', 'pictures of each held-out split', '300')
  .option('--size <pixels>', 'the longest side of a picture', '256')
  .option('--seed <n>', 'one seed, one data set', '1');
program.parse();
const { output, train, val, size, seed } = program.opts<Record<'output' | 'train' | 'val' | 'size' | 'seed', string>>();
await makeDemoData({ output, train: Number(train), val: Number(val), size: Number(size), seed: Number(seed) });
