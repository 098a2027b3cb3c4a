import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/data/random.js';
import {
  CropTransform,
  ExtentTransform,
  MinIouRandomCrop,
  NoOpTransform,
  RandomApply,
  RandomCrop,
  RandomCropCategoryAreaConstraint,
  RandomExtent,
  RandomFlip,
  RandomInstanceCrop,
  RandomRotation,
  RotationTransform,
  augment,
} from '../../../src/data/transforms/index.js';
import { ScriptedNumbers } from '../../golden/data/transforms/scripted_numbers.js';

const picture = (height: number, width: number) => ({ data: new Uint8Array(height * width), height, width, channels: 1 });

describe('augment', () => {
  it('lets each augmentation see what the one before made', () => {
    const image = { data: Uint8Array.from([1, 2, 3, 4]), height: 1, width: 4, channels: 1 };
    // Crop of half the width at 2, then a flip.
    const random = new ScriptedNumbers([0, 2, 0.1]);
    const out = augment(
      { image, boxes: Float64Array.from([2, 0, 3, 1]) },
      [new RandomCrop('relative', [1, 0.5]), new RandomFlip()],
      random,
    );
    expect([...out.image.data]).toEqual([4, 3]);
    expect([...out.boxes!]).toEqual([1, 0, 2, 1]);
    expect(random.bounds).toEqual([[1], [3], [0, 1]]);
  });
});

describe('RandomRotation', () => {
  it('draws an angle of a range and a centre as shares', () => {
    const rotation = new RandomRotation({
      angle: [-10, 10],
      center: [
        [0, 0],
        [1, 1],
      ],
      expand: false,
    });
    const transform = rotation.draw({ image: picture(10, 20) }, new ScriptedNumbers([5, 0.25, 0.5]));
    expect((transform as RotationTransform).options).toMatchObject({
      angle: 5,
      center: [5, 5],
      expand: false,
      height: 10,
      width: 20,
    });
  });

  it('chooses, and does nothing for a full turn', () => {
    const rotation = new RandomRotation({ angle: [360, 45], sampling: 'choice' });
    expect(rotation.draw({ image: picture(4, 4) }, new ScriptedNumbers([0]))).toBeInstanceOf(NoOpTransform);
    expect((rotation.draw({ image: picture(4, 4) }, new ScriptedNumbers([1])) as RotationTransform).options.angle).toBe(45);
    expect(() => new RandomRotation({ angle: [1] })).toThrow('two ends');
  });
});

describe('RandomExtent', () => {
  it('scales and shifts the window', () => {
    // Half the size, shifted by 0.25 * 20 to the right and not down.
    const transform = new RandomExtent([0.1, 2], [0.5, 0.5]).draw({ image: picture(10, 20) }, new ScriptedNumbers([0.5, 1, 0.5]));
    const { source, newHeight, newWidth } = transform as ExtentTransform;
    expect(source).toEqual([10, 2.5, 20, 7.5]);
    expect([newHeight, newWidth]).toEqual([5, 10]);
  });
});

describe('RandomApply', () => {
  it('applies below the probability', () => {
    const apply = new RandomApply(new RandomFlip('vertical', 1), 0.3);
    expect(apply.draw({ image: picture(2, 2) }, new ScriptedNumbers([0.3]))).toBeInstanceOf(NoOpTransform);
    expect(apply.draw({ image: picture(2, 2) }, new ScriptedNumbers([0.29, 0.5])).constructor.name).toBe('VFlipTransform');
  });
});

describe('RandomCropCategoryAreaConstraint', () => {
  it('draws again while one class fills the crop', () => {
    const labels = { data: Uint8Array.from([1, 1, 1, 2]), height: 1, width: 4, channels: 1 };
    const crop = new RandomCropCategoryAreaConstraint('absolute', [1, 2], { maxArea: 0.75 });
    const transform = crop.draw({ image: picture(1, 4), labels }, new ScriptedNumbers([0, 0, 0, 1, 0, 2]));
    expect((transform as CropTransform).x0).toBe(2);
    // With class 2 ignored no crop has two classes: the last of ten is taken.
    const ignoring = new RandomCropCategoryAreaConstraint('absolute', [1, 2], { maxArea: 0.75, ignoredCategory: 2 });
    const script = new ScriptedNumbers(Array.from({ length: 20 }, (_, i) => (i === 19 ? 1 : i % 2 === 1 ? 2 : 0)));
    expect((ignoring.draw({ image: picture(1, 4), labels }, script) as CropTransform).x0).toBe(1);
  });
});

describe('crops around objects', () => {
  it('holds the centre of a drawn object', () => {
    const random = new Random(4);
    const boxes = Float64Array.from([2, 2, 6, 6, 30, 20, 40, 30]);
    for (let i = 0; i < 200; i++) {
      const crop = new RandomInstanceCrop([9, 12]).draw({ image: picture(32, 48), boxes }, random) as CropTransform;
      expect([crop.height, crop.width]).toEqual([9, 12]);
      expect(crop.x0 >= 0 && crop.y0 >= 0 && crop.x0 + 12 <= 48 && crop.y0 + 9 <= 32).toBe(true);
      const holds = [
        [4, 4],
        [35, 25],
      ].some(([x, y]) => crop.x0 <= x && x <= crop.x0 + 12 && crop.y0 <= y && y <= crop.y0 + 9);
      expect(holds).toBe(true);
    }
    expect(new RandomInstanceCrop([9, 12]).draw({ image: picture(4, 4) }, random)).toBeInstanceOf(NoOpTransform);
  });

  it('overlaps every box as drawn', () => {
    const random = new Random(9);
    const boxes = Float64Array.from([5, 5, 40, 30]);
    let crops = 0;
    for (let i = 0; i < 200; i++) {
      const transform = new MinIouRandomCrop({ minIous: [0.5] }).draw({ image: picture(40, 50), boxes }, random);
      if (transform instanceof NoOpTransform) continue;
      const { x0, y0, width, height } = transform as CropTransform;
      crops++;
      expect(x0 + width <= 50 && y0 + height <= 40 && width >= 15 && height >= 12).toBe(true);
      expect(x0 < 22.5 && 22.5 < x0 + width && y0 < 17.5 && 17.5 < y0 + height).toBe(true);
    }
    expect(crops).toBeGreaterThan(50);
  });
});
