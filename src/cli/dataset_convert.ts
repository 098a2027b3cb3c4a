import { Option, type Command } from 'commander';
import { ArgumentError } from '../errors.js';
import type { Tick } from './progress_bar.js';

const IMPORTS = ['via', 'labelme', 'voc', 'yolo', 'masks'] as const;

interface ImportFlags {
  from: string;
  to: string;
  images?: string;
  output: string;
  classes?: string;
  classAttribute?: string;
  json?: boolean;
}

/** `maskrcnn dataset import | export`. */
export function registerConvert(dataset: Command): void {
  dataset
    .command('import')
    .description("turn another tool's annotations into a COCO file")
    .argument('<path>', 'VIA: its JSON file; others: the folder of annotation files')
    .addOption(new Option('--from <format>', `what it is: ${IMPORTS.join(', ')}`).makeOptionMandatory())
    .addOption(new Option('--to <format>', 'what it becomes').choices(['coco']).default('coco'))
    .option('--images <folder>', 'folder of the pictures (VIA, YOLO, masks)')
    .option(
      '--classes <names|file>',
      'YOLO: data.yaml or a text file; masks: names with commas, in the order of the values from 1',
    )
    .option('--class-attribute <name>', 'VIA: the region attribute that holds the class')
    .requiredOption('--output <file>', 'COCO annotation JSON to write')
    .option('--json', 'print JSON')
    .action(async (path: string, flags: ImportFlags) => {
      const { withProgress } = await import('./progress_bar.js');
      const { dataset: data, warnings } = await withProgress(`reading ${flags.from}`, 'files', undefined, (tick) =>
        imported(path, flags, tick),
      );
      const { writeCocoDataset } = await import('../data/coco/write_coco.js');
      await writeCocoDataset(flags.output, data);
      const counts = {
        images: data.images.length,
        annotations: data.annotations.length,
        classes: data.categories.map((c) => c.name),
      };
      tell(
        { path: flags.output, ...counts, warnings },
        `${flags.output}: ${counts.images} images, ${counts.annotations} annotations, classes ${counts.classes.join(', ')}`,
        warnings,
        flags.json,
      );
    });

  dataset
    .command('export')
    .description('write COCO annotations as files of another tool')
    .argument('<file>', 'COCO annotation JSON')
    .addOption(new Option('--to <format>', 'what is written').choices(['labelme', 'yolo']).makeOptionMandatory())
    .option('--boxes', 'YOLO: boxes also where there are masks')
    .requiredOption('--output <folder>', 'where the files are written')
    .option('--json', 'print JSON')
    .action(async (file: string, flags: { to: 'labelme' | 'yolo'; boxes?: boolean; output: string; json?: boolean }) => {
      const [{ readAnnotations }, { withProgress }] = await Promise.all([
        import('./read_annotations.js'),
        import('./progress_bar.js'),
      ]);
      const data = await readAnnotations(file);
      const warnings = await withProgress(`writing ${flags.to}`, 'files', data.images.length, async (tick) =>
        flags.to === 'labelme'
          ? (await import('../data/dataset/formats/labelme.js')).exportLabelme(data, flags.output, tick)
          : (await import('../data/dataset/formats/yolo.js')).exportYolo(data, flags.output, !flags.boxes, tick),
      );
      const text = `${flags.output}: ${data.images.length} ${flags.to} files`;
      tell({ path: flags.output, files: data.images.length, warnings }, text, warnings, flags.json);
    });
}

async function imported(path: string, flags: ImportFlags, tick: Tick) {
  const images = (): string => {
    if (flags.images === undefined)
      throw new ArgumentError(`--from ${flags.from} needs --images <folder>: the sizes come from the pictures.`);
    return flags.images;
  };
  switch (flags.from) {
    case 'via': {
      const { importVia } = await import('../data/dataset/formats/via.js');
      return importVia(path, images(), flags.classAttribute === undefined ? {} : { classAttribute: flags.classAttribute }, tick);
    }
    case 'labelme':
      return (await import('../data/dataset/formats/labelme.js')).importLabelme(path, tick);
    case 'voc':
      return (await import('../data/dataset/formats/voc.js')).importVoc(path, tick);
    case 'yolo':
      return (await import('../data/dataset/formats/yolo.js')).importYolo(path, images(), flags.classes, tick);
    case 'masks':
      return (await import('../data/dataset/formats/mask_pictures.js')).importMasks(
        path,
        images(),
        flags.classes?.split(','),
        tick,
      );
  }
  const { datasetFormats } = await import('../registry/registries.js');
  const own = datasetFormats.get(flags.from);
  if (own) return own(path, flags.images);
  const known = [...IMPORTS, ...datasetFormats.names()];
  throw new ArgumentError(`--from is ${flags.from}; expected one of ${known.join(', ')}.`);
}

function tell(report: object, text: string, warnings: readonly string[], json: boolean | undefined): void {
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else {
    for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
    process.stdout.write(`${text}\n`);
  }
}
