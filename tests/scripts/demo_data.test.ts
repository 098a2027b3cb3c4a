import { describe, expect, it } from 'vitest';
import { CLASS_ICONS, HELD_OUT_ARTIST, TRAINING_ARTISTS } from '../../scripts/demo_data/catalog.js';
import { compose } from '../../scripts/demo_data/compose.js';
import { loadSprites, type Sprite, type SpriteLibrary } from '../../scripts/demo_data/sprites.js';
import { Random } from '../../src/data/random.js';
import { cocoClassNames } from '../../src/model_zoo/coco_classes.js';

/** A square of one colour that fills its drawing. */
function square(icon: string): Sprite {
  const level = (size: number) => ({ size, data: new Float32Array(size * size * 4).fill(1) });
  return { icon, artist: 'test', levels: [level(64), level(32), level(16)] };
}

const squares: SpriteLibrary = { classes: [[square('a')], [square('b')]], distractors: [square('c')] };
const options = { height: 120, width: 160, objects: [2, 6], sizes: [20, 60] } as const;

describe('demo data', () => {
  it('gives the same picture for the same seed, and another for another', () => {
    const [a, b, c] = [5, 5, 6].map((seed) => compose(squares, options, new Random(seed)));
    expect(b.image).toEqual(a.image);
    expect(b.objects).toEqual(a.objects);
    expect(c.image).not.toEqual(a.image);
  });

  it('gives every pixel to one object at most, and leaves no object that is hardly seen', () => {
    for (let seed = 0; seed < 30; seed++) {
      const { objects } = compose(squares, options, new Random(seed));
      const taken = new Uint8Array(120 * 160);
      expect(objects.length).toBeLessThanOrEqual(6);
      for (const { mask } of objects) {
        mask.forEach((v, i) => (taken[i] += v));
        expect(mask.reduce((a, v) => a + v, 0)).toBeGreaterThanOrEqual(60);
      }
      expect(Math.max(...taken)).toBeLessThanOrEqual(1);
    }
  });

  it('draws every class, which COCO has too, by training artists and by the one held out', async () => {
    expect(Object.keys(CLASS_ICONS).length).toBeGreaterThanOrEqual(20);
    for (const name of Object.keys(CLASS_ICONS)) expect(cocoClassNames).toContain(name);
    const training = await loadSprites(TRAINING_ARTISTS);
    const heldOut = await loadSprites([HELD_OUT_ARTIST]);
    expect(training.classes.flat().some(({ artist }) => artist === HELD_OUT_ARTIST.name)).toBe(false);
    for (const sprites of [...training.classes, ...heldOut.classes]) expect(sprites.length).toBeGreaterThan(0);
    for (const { levels } of training.classes.flat()) {
      const covered = levels[0].data.reduce((sum, v, i) => sum + (i % 4 === 3 ? v : 0), 0) / 256 ** 2;
      expect(covered).toBeGreaterThan(0.03);
    }
  }, 60_000);
});
