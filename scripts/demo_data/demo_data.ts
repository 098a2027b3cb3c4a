import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import cliProgress from 'cli-progress';
import sharp from 'sharp';
import { writeFileAtomic } from '../../src/atomic_file.js';
import type { CocoAnnotation, CocoDataset } from '../../src/data/coco/coco_types.js';
import { writeCocoDataset } from '../../src/data/coco/write_coco.js';
import { Random } from '../../src/data/random.js';
import { encodeRle, rleArea, rleToBox, rleToString } from '../../src/data/rle/rle.js';
import { cocoClasses } from '../../src/model_zoo/coco_classes.js';
import { type Artist, CLASS_ICONS, HELD_OUT_ARTIST, TRAINING_ARTISTS } from './catalog.js';
import { compose } from './compose.js';
import { loadSprites } from './sprites.js';

/** One part of the data: a folder of pictures and its annotation file. */
interface Split {
  readonly name: 'train' | 'val' | 'held_out_artist';
  readonly images: number;
  readonly artists: readonly Artist[];
}

/** Composes one split and writes `NAME/*.jpg` and `NAME.json`. Picture i depends on the seed, the split's name and i alone. */
async function makeSplit(folder: string, { name, images, artists }: Split, size: number, seed: number): Promise<void> {
  mkdirSync(join(folder, name), { recursive: true });
  const library = await loadSprites(artists);
  const names = Object.keys(CLASS_ICONS);
  const categories = names.map((className) => {
    const id = cocoClasses.find((c) => c.name === className)?.id;
    if (id === undefined) throw new Error(`${className} is no class of COCO.`);
    return { id, name: className };
  });
  const dataset: CocoDataset = {
    info: {
      description: `Compositions of emoji art, ${name}, seed ${seed}`,
      art: artists.map((artist) => `${artist.name} (${artist.license})`),
    },
    licenses: [],
    categories,
    images: [],
    annotations: [],
  };
  const bar = new cliProgress.SingleBar(
    { format: `${name} {bar} {value}/{total} pictures`, stream: process.stderr, noTTYOutput: false },
    cliProgress.Presets.shades_classic,
  );
  bar.start(images, 0);
  for (let i = 0; i < images; i++) {
    const random = new Random(seed).fork(splitKey(name), i);
    const [height, width] = [side(size, random), side(size, random)];
    const options = { height, width, objects: [1, 8], sizes: [30, size * 0.62] } as const;
    const { image, objects } = compose(library, options, random);
    const quality = 70 + random.integer(28);
    const file = `${String(i).padStart(5, '0')}.jpg`;
    const jpeg = await sharp(image, { raw: { height, width, channels: 3 } })
      .jpeg({ quality, chromaSubsampling: '4:4:4' })
      .toBuffer();
    await writeFileAtomic(join(folder, name, file), jpeg);
    dataset.images.push({ id: i + 1, file_name: file, height, width });
    for (const { classIndex, mask, artist } of objects) {
      dataset.annotations.push(
        annotation(dataset.annotations.length + 1, i + 1, categories[classIndex].id, mask, height, width, artist),
      );
    }
    bar.update(i + 1);
  }
  bar.stop();
  await writeCocoDataset(join(folder, `${name}.json`), dataset);
  process.stderr.write(`${name}: ${images} pictures, ${dataset.annotations.length} objects\n`);
}

function annotation(
  id: number,
  imageId: number,
  categoryId: number,
  mask: Uint8Array,
  height: number,
  width: number,
  artist: string,
): CocoAnnotation {
  const rle = encodeRle(mask, height, width, 'row');
  return {
    id,
    image_id: imageId,
    category_id: categoryId,
    bbox: rleToBox(rle),
    area: rleArea(rle),
    iscrowd: 0,
    segmentation: { size: [height, width], counts: rleToString(rle) },
    artist,
  };
}

/** From 3/4 of the size to all of it, in steps of 8 pixels. */
function side(size: number, random: Random): number {
  return Math.round((size * random.uniform(0.75, 1)) / 8) * 8;
}

function splitKey(name: Split['name']): number {
  return { train: 1, val: 2, held_out_artist: 3 }[name];
}

export interface DemoDataOptions {
  /** Gets a folder of pictures and an annotation file for each split. */
  readonly output: string;
  /** Training pictures. */
  readonly train: number;
  /** Pictures of each held-out split. */
  readonly val: number;
  /** The longest side of a picture. */
  readonly size: number;
  readonly seed: number;
}

/** Makes train, val (other compositions of the same drawings) and held_out_artist (drawings by an artist that the others do not show). */
export async function makeDemoData({ output, train, val, size, seed }: DemoDataOptions): Promise<void> {
  const splits: readonly Split[] = [
    { name: 'train', images: train, artists: TRAINING_ARTISTS },
    { name: 'val', images: val, artists: TRAINING_ARTISTS },
    { name: 'held_out_artist', images: val, artists: [HELD_OUT_ARTIST] },
  ];
  for (const split of splits) await makeSplit(output, split, size, seed);
}
