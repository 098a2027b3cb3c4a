import { describe, expect, it } from 'vitest';
import { canWrite, fitText, measureText, textOutlines } from '../../src/visualization/label_font.js';
import { polygonsArea } from '../../src/visualization/contours.js';

describe('the label font', () => {
  it('has every printable Latin-1 character', () => {
    for (let code = 33; code < 256; code++) {
      if ((code > 126 && code < 162) || code === 173) continue;
      const character = String.fromCodePoint(code);
      expect(canWrite(character), character).toBe(true);
      expect(polygonsArea(textOutlines(character, 0, 0, 100)), character).toBeGreaterThan(50);
    }
  });

  it('measures by the advances of Roboto Medium', () => {
    expect(measureText('!', 2048)).toBe(549);
    expect(measureText('! !', 1024)).toBe((549 + 510 + 549) / 2);
    expect(measureText('', 20)).toBe(0);
  });

  it('falls back on base letters, then on a hollow box', () => {
    expect(measureText('ő', 50)).toBe(measureText('o', 50));
    expect(canWrite('ő')).toBe(true);
    expect(canWrite('犬')).toBe(false);
    expect(textOutlines('犬', 0, 0, 20)).toHaveLength(2);
  });

  it('draws above the baseline, from the pen on', () => {
    const points = textOutlines('H', 10, 50, 20).flatMap((p) => [...p]);
    const ys = points.filter((_, i) => i % 2 === 1);
    expect(Math.max(...ys)).toBeCloseTo(50, 3);
    expect(Math.min(...ys)).toBeCloseTo(50 - (20 * 1456) / 2048, 3);
    expect(Math.min(...points.filter((_, i) => i % 2 === 0))).toBeCloseTo(10 + (20 * 148) / 2048, 1);
  });

  it('shortens what does not fit', () => {
    expect(fitText('cat', 10, 100)).toBe('cat');
    const short = fitText('a very long class name', 10, 50);
    expect(short.endsWith('..')).toBe(true);
    expect(measureText(short, 10)).toBeLessThanOrEqual(50);
  });
});
