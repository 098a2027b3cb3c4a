import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Reads the file that is named, in a process of its own, and prints what it took. */
async function child(path: string): Promise<void> {
  const { readCocoDataset } = await import('../src/data/coco/read_coco.js');
  const before = process.resourceUsage().maxRSS;
  const start = performance.now();
  const { images, annotations } = await readCocoDataset(path);
  const after = process.resourceUsage().maxRSS;
  console.log(
    JSON.stringify({
      images: images.length,
      annotations: annotations.length,
      seconds: (performance.now() - start) / 1000,
      before,
      after,
    }),
  );
}

/** Polygons of 20 to 60 points with one decimal, about as COCO's own files have them. */
function generate(path: string, bytes: number): void {
  const file = openSync(path, 'w');
  let written = 0;
  let text = '';
  const put = (piece: string, last = false): void => {
    text += piece;
    if (text.length > 1 << 22 || last) {
      written += writeSync(file, text);
      text = '';
    }
  };
  put('{"info":{},"categories":[{"id":1,"name":"thing"}],"images":[');
  const images = 20000;
  for (let i = 1; i <= images; i++)
    put(`${i > 1 ? ',' : ''}{"id":${i},"file_name":"${String(i).padStart(12, '0')}.jpg","height":480,"width":640}`);
  put('],"annotations":[');
  for (let id = 1; written + text.length < bytes; id++) {
    const polygon: string[] = [];
    for (let p = 0; p < 20 + (id % 41); p++)
      polygon.push((((id * 7919 + p * 104729) % 6400) / 10).toFixed(1), (((id * 31 + p * 271) % 4800) / 10).toFixed(1));
    put(
      `${id > 1 ? ',' : ''}{"id":${id},"image_id":${1 + (id % images)},"category_id":1,"iscrowd":0,"area":${id % 9999}.5,"bbox":[1.5,2.5,30.25,40.5],"segmentation":[[${polygon.join(',')}]]}`,
    );
  }
  put(']}', true);
  closeSync(file);
}

if (process.argv[2] === 'child') await child(process.argv[3]!);
else {
  const megabytes = Number(process.argv[2] ?? 500);
  const path = join(tmpdir(), `maskrcnn-stream-${process.pid}.json`);
  try {
    generate(path, megabytes * 1e6);
    const size = statSync(path).size;
    const script = fileURLToPath(import.meta.url);
    const run = spawnSync(process.execPath, ['--import', 'tsx', script, 'child', path], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(run.stderr);
    const { before, after, ...figures } = JSON.parse(run.stdout) as Record<string, number>;
    // maxRSS is in kilobytes; what Node itself takes is not the reader's.
    const ratio = ((after! - before!) * 1024) / size;
    const line = {
      name: 'stream_json',
      file_mb: size / 1e6,
      peak_mb: (after! * 1024) / 1e6,
      start_mb: (before! * 1024) / 1e6,
      memory_ratio: ratio,
      peak_ratio: (after! * 1024) / size,
      ...figures,
    };
    console.log(JSON.stringify(line));
    process.exitCode = line.peak_ratio < 2.5 ? 0 : 1;
  } finally {
    rmSync(path, { force: true });
  }
}
