import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config/index.js';
import type { CocoDataset } from '../../data/coco/coco_types.js';
import type { DatasetRecord } from '../../data/coco/dataset_records.js';
import { readImageSize } from '../../data/image_io/read_image.js';
import { DatasetError, ImageError } from '../../errors.js';

/** Headers that are read, evenly over the set; whether a file is there is looked at for all. */
const HEADERS = 2000;
/** Files looked at at a time. */
const TOGETHER = 16;
/** Defects that are spelled out. */
const NAMED = 3;

/** A picture, and what the annotations say of it. */
export interface ExpectedPicture {
  readonly file: string;
  readonly height: number;
  readonly width: number;
}

/** An object that is no crowd, and what it has. */
export interface ExpectedObject {
  /** Where it is, for people. */
  readonly name: string;
  readonly hasOutline: boolean;
  readonly hasKeypoints: boolean;
}

/** One set of pictures to be checked before a training. */
export interface CheckedSet {
  /** Its annotation file. */
  readonly json: string;
  readonly pictures: readonly ExpectedPicture[];
  readonly objects: readonly ExpectedObject[];
}

/** A training set for {@link checkData}. */
export function trainingSet(json: string, records: readonly DatasetRecord[]): CheckedSet {
  return {
    json,
    pictures: records.map(({ file_name: file, height, width }) => ({ file, height, width })),
    objects: records.flatMap(({ image_id: image, annotations }) =>
      annotations
        .filter(({ iscrowd }) => !iscrowd)
        .map(({ bbox, segmentation, keypoints }) => ({
          name: `image ${image}, box [${bbox?.join(', ') ?? ''}]`,
          hasOutline: segmentation !== undefined,
          hasKeypoints: keypoints !== undefined && keypoints.length > 0,
        })),
    ),
  };
}

/** A validation set for {@link checkData}. @param images the folder of its pictures */
export function judgedSet(json: string, dataset: CocoDataset, images: string): CheckedSet {
  return {
    json,
    pictures: dataset.images.map(({ file_name: name, height, width }) => ({ file: join(images, name), height, width })),
    objects: dataset.annotations
      .filter(({ iscrowd }) => !iscrowd)
      .map(({ id, image_id: image, segmentation, keypoints }) => ({
        name: `annotation ${id} of image ${image}`,
        hasOutline: segmentation !== undefined && !(Array.isArray(segmentation) && segmentation.length === 0),
        hasKeypoints: keypoints !== undefined && keypoints.length > 0,
      })),
  };
}

/**
 * Looks for what would stop a training in its middle: pictures that are not there, have no header or another size than the annotations say, and
 * objects without the outlines or keypoints that the model learns. Reads headers only, of 2000 pictures at most.
 * @returns what was looked at, as a line
 * @throws DatasetError that counts and names what is wrong, and says what to do
 */
export async function checkData(set: CheckedSet, { MODEL }: Pick<Config, 'MODEL'>): Promise<string> {
  const { json, pictures } = set;
  checkObjects(set, MODEL);
  const exists = await forAll(pictures, ({ file }) =>
    stat(file).then(
      (found) => found.isFile(),
      () => false,
    ),
  );
  const missing = pictures.filter((_, i) => !exists[i]).map(({ file }) => file);
  if (missing.length > 0)
    throw new DatasetError(
      `${json}: ${missing.length} of ${pictures.length} pictures are not there: ${some(missing)}. Name the folder that its file names are relative to, ` +
        'or take them out with `maskrcnn dataset check --fix`.',
    );
  const every = Math.ceil(pictures.length / HEADERS);
  const opened = pictures.filter((_, i) => i % every === 0);
  const problems = (await forAll(opened, headerProblem)).filter((problem) => problem !== undefined);
  if (problems.length > 0)
    throw new DatasetError(
      `${json}: ${problems.length} of ${opened.length} pictures that were opened cannot be used: ${some(problems)}. ` +
        '`maskrcnn dataset check` finds all of them, and `--fix` mends the file.',
    );
  return `${json}: ${pictures.length} pictures are there, ${opened.length} were opened and have the sizes that it says`;
}

function checkObjects({ json, objects }: CheckedSet, { MASK_ON, KEYPOINT_ON }: Config['MODEL']): void {
  const complain = (without: readonly ExpectedObject[], what: string, key: string): void => {
    if (without.length === 0) return;
    throw new DatasetError(
      `${json}: ${without.length} of ${objects.length} objects have no ${what}, which the model learns: ${some(without.map(({ name }) => name))}. ` +
        `Add them, take these objects out, or train without with MODEL.${key}=False.`,
    );
  };
  if (MASK_ON)
    complain(
      objects.filter(({ hasOutline }) => !hasOutline),
      'segmentation',
      'MASK_ON',
    );
  if (KEYPOINT_ON)
    complain(
      objects.filter(({ hasKeypoints }) => !hasKeypoints),
      'keypoints',
      'KEYPOINT_ON',
    );
}

async function headerProblem({ file, height, width }: ExpectedPicture): Promise<string | undefined> {
  try {
    const found = await readImageSize(file);
    if (found.height === height && found.width === width) return undefined;
    return `${file} has ${found.width} x ${found.height} pixels (an orientation in EXIF counts), the file says ${width} x ${height}`;
  } catch (error) {
    if (error instanceof ImageError) return error.message;
    throw error;
  }
}

async function forAll<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]);
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, worker));
  return results;
}

function some(names: readonly string[]): string {
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return `${names.slice(0, NAMED).join('; ')}${more}`;
}
