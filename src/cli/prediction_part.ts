import { resolve } from 'node:path';
import type { PanopticDataset } from '../data/coco/read_panoptic.js';
import type { Predictor } from '../engine/predictor.js';
import { DatasetError } from '../errors.js';
import { fingerprint, modelFingerprint } from '../sharding/fingerprint.js';
import { joinParts, listed } from '../sharding/join_parts.js';
import { PartWriter } from '../sharding/part_file.js';
import type { PartLockOptions } from '../sharding/part_lock.js';
import { ownsBatch, type Shard } from '../sharding/shard.js';
import { categoriesOf, type Format, type PredictedImage, predictImage } from './predicted_image.js';
import type { ShardDone } from './shard_summary.js';

interface PredictionPartOptions {
  /** Shared by all shards. */
  folder: string;
  shard: Shard;
  format: Format;
  /** Where the drawing of each file goes. */
  outputs: readonly string[];
  maxPixels?: string;
  tile?: number;
  overlap?: number;
  /** Of the lock of the part. */
  lock?: PartLockOptions;
  onImage: (image: PredictedImage) => void;
}

/** Predicts on a shard's files and appends what became of each to the shard's part. */
export async function writePredictionPart(
  predictor: Predictor,
  files: readonly string[],
  { folder, shard, format, outputs, maxPixels, tile, overlap, lock, onImage }: PredictionPartOptions,
): Promise<ShardDone & { failed: number }> {
  const about = {
    command: 'predict' as const,
    images: files.length,
    same: {
      files: fingerprint(files.map((file) => resolve(file))),
      ...(await modelFingerprint(predictor)),
      format,
      'largest picture': maxPixels ?? '',
      tile: tile ?? 0,
      overlap: overlap ?? '',
      categories: JSON.stringify(await categoriesOf(predictor, format)),
    },
  };
  const part = await PartWriter.open<PredictedImage>(folder, shard, about, lock);
  try {
    const own = files.map((_, place) => place).filter((place) => ownsBatch(shard, place));
    const before = own.filter((place) => part.records.get(place)?.report).length;
    for (const place of own) {
      if (part.records.get(place)?.report) continue;
      const picture = { file: files[place]!, place, output: outputs[place] };
      const image = await predictImage(predictor, picture, {
        format,
        ...(maxPixels === undefined ? {} : { maxPixels }),
        ...(tile === undefined ? {} : { tile }),
        ...(overlap === undefined ? {} : { overlap }),
      });
      await part.append(place, image);
      onImage(image);
    }
    const failed = own.filter((place) => part.records.get(place)?.failed).length;
    return { path: part.path, images: own.length, before, failed };
  } finally {
    await part.close();
  }
}

/** The parts of all shards in the order of the files. @throws DatasetError that names what is missing */
export async function joinPredictionParts(folder: string): Promise<{
  images: PredictedImage[];
  format: Format;
  device: string;
  shards: number;
  categories: PanopticDataset['categories'];
}> {
  const { about, shards, records } = await joinParts<PredictedImage>(folder);
  if (about.command !== 'predict')
    throw new DatasetError(`The parts in ${folder} are of maskrcnn ${about.command}: give its annotation file with --json-file.`);
  const places = Array.from({ length: about.images }, (_, place) => place);
  const missing = places.filter((place) => !records.has(place));
  if (missing.length > 0)
    throw new DatasetError(
      `${folder} lacks ${missing.length} of ${places.length} pictures (by their place in the list, from 0: ${listed(missing)}): run the shards that were interrupted again.`,
    );
  const { format, device, categories } = about.same as { format: Format; device: string; categories: string };
  const named = JSON.parse(categories) as PanopticDataset['categories'];
  return { images: places.map((place) => records.get(place)!), format, device, shards, categories: named };
}
