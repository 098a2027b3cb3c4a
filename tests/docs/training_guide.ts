import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The guide to training, as text. */
export const trainingGuide = readFileSync(fileURLToPath(new URL('../../docs/train_your_own_data.md', import.meta.url)), 'utf8');

/** Its commands in blocks, one a line. */
export const blockCommands = [...trainingGuide.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap((m) => m[1]!.trim().split('\n'));

/** Its commands in the text, and settings that it gives to a command (`KEY=VALUE ...`). */
export const inlineCommands = [...trainingGuide.replaceAll(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)]
  .map(([, code]) => code!.replaceAll('\n', ' '))
  .filter((code) => /^(maskrcnn|npm run) |^[A-Z]\w+(\.\w+)+=/.test(code));

/**
 * A command of the guide for a small data set: `tiny.yaml` stands for the published config, random weights for the download.
 * @returns its arguments
 */
export function smallCommand(command: string, device: string): string[] {
  const words = command.split(' ').slice(1);
  const zoo = 'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x';
  const args = words.map((word, i) => (word !== zoo ? word : words[i - 1] === '--weights' ? 'none' : 'tiny.yaml'));
  if (['train', 'predict', 'evaluate'].includes(args[0]!)) args.push('--device', device);
  return args.includes('--sanity') && !args.includes('--weights') ? [...args, '--weights', 'none'] : args;
}
