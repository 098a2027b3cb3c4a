import type { Command } from 'commander';
import type { DatasetIssue } from '../data/dataset/check_dataset.js';

interface CheckFlags {
  images?: string;
  fix?: string;
  json?: boolean;
}

/** `maskrcnn dataset check`: finds defects; exit code 1 when there are errors that were not mended. */
export function registerCheck(dataset: Command): void {
  dataset
    .command('check')
    .description('find defects of a COCO annotation file and its pictures; exit code 1 when there are errors')
    .argument('<file>', 'COCO annotation JSON')
    .option('--images <folder>', 'also open every picture')
    .option('--fix <file>', 'write a mended copy here')
    .option('--json', 'print JSON')
    .action(async (file: string, flags: CheckFlags) => {
      const [{ readAnnotations }, { checkDataset }, { withProgress }] = await Promise.all([
        import('./read_annotations.js'),
        import('../data/dataset/check_dataset.js'),
        import('./progress_bar.js'),
      ]);
      const defects: DatasetIssue[] = [];
      const onDefect = ({ message }: Error): void => {
        defects.push({ kind: 'bad_record', severity: 'error', message, mended: 'the record is left out' });
      };
      const data = await readAnnotations(file, { onDefect });
      let pictures;
      if (flags.images !== undefined) {
        const { pictureFacts } = await import('../data/dataset/picture_facts.js');
        const folder = flags.images;
        pictures = await withProgress('opening pictures', 'pictures', data.images.length, (tick) =>
          pictureFacts(data.images, folder, tick),
        );
      }
      const { issues, mended } = checkDataset(data, pictures);
      const all = [...defects, ...issues];
      const errors = all.filter((i) => i.severity === 'error').length;
      if (flags.fix !== undefined) {
        const { writeCocoDataset } = await import('../data/coco/write_coco.js');
        await writeCocoDataset(flags.fix, mended);
      }
      const counts = { images: data.images.length, annotations: data.annotations.length, categories: data.categories.length };
      if (flags.json)
        process.stdout.write(
          `${JSON.stringify({ file, ...counts, errors, warnings: all.length - errors, issues: all, ...(flags.fix === undefined ? {} : { mended: flags.fix }) })}\n`,
        );
      else process.stdout.write(await report(file, counts, all, flags.fix));
      if (errors > 0 && flags.fix === undefined) process.exitCode = 1;
    });
}

const SHOWN = 5;

async function report(file: string, counts: Record<string, number>, issues: DatasetIssue[], fixed?: string): Promise<string> {
  const { textTable } = await import('./text_table.js');
  const lines = [
    `${file}: ${Object.entries(counts)
      .map(([name, n]) => `${n} ${name}`)
      .join(', ')}`,
  ];
  const kinds = [...new Set(issues.map((i) => i.kind))];
  if (issues.length === 0) lines.push('No defects found.');
  else {
    const rows = kinds.map((kind) => {
      const own = issues.filter((i) => i.kind === kind);
      return [kind, own[0]!.severity, String(own.length)];
    });
    lines.push('', textTable([['defect', 'severity', 'count'], ...rows], [0, 1]), '');
    for (const kind of kinds) {
      const own = issues.filter((i) => i.kind === kind);
      for (const i of own.slice(0, SHOWN))
        lines.push(`${i.severity}: ${i.message}${fixed === undefined ? '' : ` -> ${i.mended}`}`);
      if (own.length > SHOWN) lines.push(`... and ${own.length - SHOWN} more of ${kind}; --json lists all`);
    }
  }
  if (fixed !== undefined) lines.push('', `Wrote the mended copy to ${fixed}.`);
  else if (issues.some((i) => i.severity === 'error')) lines.push('', 'Run again with --fix <file> to write a mended copy.');
  return `${lines.join('\n')}\n`;
}
