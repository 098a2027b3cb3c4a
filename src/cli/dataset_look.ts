import type { Command } from 'commander';
import type { DatasetStats, Histogram } from '../data/dataset/dataset_stats.js';
import { ArgumentError } from '../errors.js';

interface StatsFlags {
  minSize: number;
  maxSize: number;
  json?: boolean;
}

interface BrowseFlags {
  images: string;
  output: string;
  limit: number;
  size: number;
  json?: boolean;
}

/** `maskrcnn dataset stats | browse`. */
export function registerLook(dataset: Command): void {
  dataset
    .command('stats')
    .description('count classes and sizes; say which anchors and input size fit')
    .argument('<file>', 'COCO annotation JSON')
    .option('--min-size <pixels>', 'shortest side of the model input', positive, 800)
    .option('--max-size <pixels>', 'longest side of the model input', positive, 1333)
    .option('--json', 'print JSON')
    .action(async (file: string, flags: StatsFlags) => {
      const [{ readAnnotations }, { datasetStats }] = await Promise.all([
        import('./read_annotations.js'),
        import('../data/dataset/dataset_stats.js'),
      ]);
      const stats = datasetStats(await readAnnotations(file), { minSize: flags.minSize, maxSize: flags.maxSize });
      process.stdout.write(flags.json ? `${JSON.stringify(stats)}\n` : await statsText(stats));
    });

  dataset
    .command('browse')
    .description('write one HTML page with the pictures and their annotations; it needs no server')
    .argument('<file>', 'COCO annotation JSON')
    .requiredOption('--images <folder>', 'folder of the pictures')
    .requiredOption('--output <file>', 'the page')
    .option('--limit <number>', 'most pictures on the page, spread over the data set', positive, 200)
    .option('--size <pixels>', 'longest side of a picture on the page', positive, 640)
    .option('--json', 'print JSON')
    .action(async (file: string, flags: BrowseFlags) => {
      const [{ readAnnotations }, { browsePage }, { thumbnails }, { withProgress }, { writeFileAtomic }, { basename }] =
        await Promise.all([
          import('./read_annotations.js'),
          import('../data/dataset/browse_page.js'),
          import('../data/dataset/thumbnails.js'),
          import('./progress_bar.js'),
          import('../atomic_file.js'),
          import('node:path'),
        ]);
      const data = await readAnnotations(file);
      const count = Math.min(flags.limit, data.images.length);
      const images = Array.from({ length: count }, (_, i) => data.images[Math.floor((i * data.images.length) / count)]!);
      const sources = await withProgress('reading pictures', 'pictures', count, (tick) =>
        thumbnails(images, flags.images, flags.size, tick),
      );
      const pictures = images.map((image) => ({ image, source: sources.get(image.id) }));
      const page = browsePage(data, pictures, basename(file));
      await writeFileAtomic(flags.output, page);
      const report = { path: flags.output, images: count, unreadable: count - sources.size, bytes: Buffer.byteLength(page) };
      const unreadable = report.unreadable > 0 ? `, ${report.unreadable} of them cannot be read` : '';
      process.stdout.write(
        flags.json
          ? `${JSON.stringify(report)}\n`
          : `${flags.output}: ${count} images${unreadable}, ${(report.bytes / 1e6).toFixed(1)} MB\n`,
      );
    });
}

async function statsText(s: DatasetStats): Promise<string> {
  const { textTable } = await import('./text_table.js');
  const { width, height } = s.imageSizes;
  const classes = [...s.classes].sort((a, b) => b.objects - a.objects);
  const most = Math.max(1, ...classes.map((c) => c.objects));
  const lines = [
    `${s.images} images (${s.imagesWithoutObjects} without objects), ${s.objects} objects, ${s.crowds} crowds`,
    `image width ${width.join(' / ')}, height ${height.join(' / ')} (least / median / most)`,
    '',
    textTable(
      [
        ['class', 'objects', 'images', ''],
        ...classes.map((c) => [c.name, String(c.objects), String(c.images), bar(c.objects, most)]),
      ],
      [0, 3],
    ),
    '',
    `small ${s.small}, medium ${s.medium}, large ${s.large} (mask area below 32^2, below 96^2, the rest)`,
    '',
    'objects in an image',
    histogramText(s.objectsPerImage, textTable),
    '',
    'object size in the image, px (square root of width x height)',
    histogramText(s.sizes, textTable),
    '',
    'object size in the model input, px',
    histogramText(s.inputSizes, textTable),
    '',
    'height / width',
    histogramText(s.aspectRatios, textTable),
    '',
    `anchors ${s.anchors.sizes.join(', ')} x ${s.anchors.ratios.join(', ')}: IoU 0.5 with ${percent(s.anchors.at50)} of the boxes, 0.7 with ${percent(s.anchors.at70)}`,
    ...s.advice.map((a) => `advice: ${a}`),
  ];
  return `${lines.join('\n')}\n`;
}

function histogramText({ edges, counts }: Histogram, table: (rows: string[][], left: number[]) => string): string {
  const most = Math.max(1, ...counts);
  return table(
    edges.map((edge, i) => [
      edges[i + 1] === undefined ? `${edge} and more` : `${edge} to ${edges[i + 1]}`,
      String(counts[i]),
      bar(counts[i]!, most),
    ]),
    [0, 2],
  );
}

const bar = (value: number, most: number): string => '#'.repeat(Math.round((30 * value) / most));
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new ArgumentError(`"${text}" is not a whole number from 1.`);
  return value;
}
