import type { Command } from 'commander';
import { ArgumentError } from '../errors.js';

/** `maskrcnn dataset split | merge | remap`. */
export function registerCombine(dataset: Command): void {
  dataset
    .command('split')
    .description('divide a data set by images, with the classes spread evenly')
    .argument('<file>', 'COCO annotation JSON')
    .requiredOption('--output <folder>', 'where NAME.json of each part is written')
    .option('--parts <name=share,...>', 'parts and their shares', 'train=0.8,val=0.2')
    .option('--seed <number>', 'another seed, another division', wholeNumber, 0)
    .option('--json', 'print JSON')
    .action(async (file: string, flags: { output: string; parts: string; seed: number; json?: boolean }) => {
      const [{ readAnnotations }, { writeCocoDataset }, { splitDataset }, { Random }, { join }] = await Promise.all([
        import('./read_annotations.js'),
        import('../data/coco/write_coco.js'),
        import('../data/dataset/divide_dataset.js'),
        import('../data/random.js'),
        import('node:path'),
      ]);
      const parts = flags.parts.split(',').map((part) => {
        const [name, share] = part.split('=');
        if (!name || !/^[\w.-]+$/.test(name) || !(Number(share) > 0))
          throw new ArgumentError(`--parts: "${part}" is not NAME=SHARE with a share above 0, such as train=0.8.`);
        return { name, share: Number(share) };
      });
      const divided = splitDataset(
        await readAnnotations(file),
        parts.map((p) => p.share),
        new Random(flags.seed),
      );
      const written = [];
      for (const [i, { name }] of parts.entries()) {
        const path = join(flags.output, `${name}.json`);
        await writeCocoDataset(path, divided[i]!);
        written.push({ name, path, images: divided[i]!.images.length, annotations: divided[i]!.annotations.length });
      }
      const text = written.map((w) => `${w.path}: ${w.images} images, ${w.annotations} annotations\n`).join('');
      process.stdout.write(flags.json ? `${JSON.stringify({ parts: written })}\n` : text);
    });

  dataset
    .command('merge')
    .description('join data sets; classes are joined by name')
    .argument('<files...>', 'COCO annotation JSON files')
    .requiredOption('--output <file>', 'the joined file')
    .option('--prefix <folder...>', "put before each file's picture names, one for each file")
    .option('--json', 'print JSON')
    .action(async (files: string[], flags: { output: string; prefix?: string[]; json?: boolean }) => {
      if (flags.prefix && flags.prefix.length !== files.length)
        throw new ArgumentError(`--prefix needs one folder for each file: ${files.length}, not ${flags.prefix.length}.`);
      const [{ readAnnotations }, { writeCocoDataset }, { mergeDatasets }] = await Promise.all([
        import('./read_annotations.js'),
        import('../data/coco/write_coco.js'),
        import('../data/dataset/divide_dataset.js'),
      ]);
      const read = [];
      for (const file of files) read.push(await readAnnotations(file));
      const prefixes = flags.prefix?.map((p) => (p === '' || p.endsWith('/') ? p : `${p}/`));
      await writeAndTell(mergeDatasets(read, prefixes), flags.output, flags.json, writeCocoDataset);
    });

  dataset
    .command('remap')
    .description('rename, join or drop classes')
    .argument('<file>', 'COCO annotation JSON')
    .requiredOption('--output <file>', 'the changed file')
    .requiredOption('--map <old=new...>', 'new names; the same new name joins classes, an empty one drops them')
    .option('--keep-ids', 'keep category ids; else they become 1, 2, ...')
    .option('--json', 'print JSON')
    .action(async (file: string, flags: { output: string; map: string[]; keepIds?: boolean; json?: boolean }) => {
      const [{ readAnnotations }, { writeCocoDataset }, { remapCategories }] = await Promise.all([
        import('./read_annotations.js'),
        import('../data/coco/write_coco.js'),
        import('../data/dataset/divide_dataset.js'),
      ]);
      const mapping = flags.map.map((rule) => {
        const at = rule.indexOf('=');
        if (at < 1) throw new ArgumentError(`--map: "${rule}" is not OLD=NEW (or OLD= to drop the class).`);
        return { from: rule.slice(0, at), to: rule.slice(at + 1) || null };
      });
      const changed = remapCategories(await readAnnotations(file), mapping, flags.keepIds ?? false);
      await writeAndTell(changed, flags.output, flags.json, writeCocoDataset);
    });
}

async function writeAndTell(
  data: import('../data/coco/coco_types.js').CocoDataset,
  path: string,
  json: boolean | undefined,
  write: typeof import('../data/coco/write_coco.js').writeCocoDataset,
): Promise<void> {
  await write(path, data);
  const counts = {
    images: data.images.length,
    annotations: data.annotations.length,
    classes: data.categories.map((c) => c.name),
  };
  process.stdout.write(
    json
      ? `${JSON.stringify({ path, ...counts })}\n`
      : `${path}: ${counts.images} images, ${counts.annotations} annotations, classes ${counts.classes.join(', ')}\n`,
  );
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < 0)
    throw new ArgumentError(`"${text}" is not a whole number from 0.`);
  return value;
}
