import { describe, expect, it } from 'vitest';
import { getConfig } from '../../src/config/index.js';
import { DatasetMapper } from '../../src/data/dataset_mapper.js';
import type { DatasetRecord } from '../../src/data/coco/dataset_records.js';
import { ScriptedNumbers } from '../golden/data/transforms/scripted_numbers.js';

const LSJ = 'new_baselines/mask_rcnn_R_50_FPN_100ep_LSJ';
const SIZE = 'INPUT.SCALE_JITTER.SIZE=(64, 64)';

/** 20 pixels high, 40 wide: white from column 10 to 29, with an object as large. */
const image = {
  data: Uint8Array.from({ length: 20 * 40 * 3 }, (_, i) =>
    Math.floor(i / 3) % 40 >= 10 && Math.floor(i / 3) % 40 < 30 ? 255 : 0,
  ),
  height: 20,
  width: 40,
  channels: 3,
};
const record = {
  file_name: 'a.png',
  image_id: 1,
  height: 20,
  width: 40,
  annotations: [
    { iscrowd: 0, bbox: [10, 0, 20, 20], bbox_mode: 1, category_id: 0, segmentation: [[10, 0, 30, 0, 30, 20, 10, 20]] },
  ],
} as unknown as DatasetRecord;

describe('large-scale jitter (INPUT.SCALE_JITTER)', () => {
  it('shrinks a picture into the corner of the size, and pads', () => {
    // Scale 0.5: 32 wide and 16 high; no room to crop; no flip.
    const mapper = DatasetMapper.fromConfig(getConfig(LSJ, [SIZE]));
    const sample = mapper.map(image, record, new ScriptedNumbers([0.5, 0.3, 0.9]));
    expect([sample.height, sample.width]).toEqual([64, 64]);
    expect([...sample.groundTruth.boxes]).toEqual([8, 0, 24, 16]);
    const pixel = (x: number, y: number): number => sample.data[(y * 64 + x) * 3]!;
    expect([pixel(16, 8), pixel(2, 8), pixel(40, 8), pixel(16, 40)]).toEqual([255, 0, 128, 128]);
  });

  it('enlarges and crops, with boxes around what is left of the masks', () => {
    // Scale 2: 128 wide and 64 high; cropped from 64 * 0.75 = 48; no flip.
    const mapper = DatasetMapper.fromConfig(getConfig(LSJ, [SIZE]));
    const sample = mapper.map(image, record, new ScriptedNumbers([2, 0.75, 0.9]));
    expect([sample.height, sample.width]).toEqual([64, 64]);
    // The object is from 32 to 96 of the enlarged picture.
    expect([...sample.groundTruth.boxes]).toEqual([0, 0, 48, 64]);
  });

  it('says what does not go together', () => {
    const mapper = (...overrides: string[]) => DatasetMapper.fromConfig(getConfig(LSJ, overrides));
    expect(() => mapper('INPUT.CROP.ENABLED=True')).toThrow(/SCALE_JITTER crops by itself; set INPUT\.CROP\.ENABLED to false/);
    expect(() => mapper('INPUT.SCALE_JITTER.SIZE=(64,)')).toThrow(/SIZE needs height and width, got \[64\]/);
    expect(() => mapper('INPUT.SCALE_JITTER.SCALES=(1.0,)')).toThrow(
      /SCALES needs the smallest and the largest scale, got \[1\]/,
    );
  });
});
