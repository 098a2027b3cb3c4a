import { labelGlyphs, unitsPerEm } from './label_font_data.js';

/** Height of a capital letter and depth of a descender, as parts of the font size. */
export const capHeight = 1456 / 2048;
export const descent = 430 / 2048;

const hollowBox: readonly [number, string] = [1200, 'M150 0L150 1456L1050 1456L1050 0ZM300 150L900 150L900 1306L300 1306Z'];

/**
 * Width of a line of text in the built-in label font.
 * @param text any text; characters outside Latin-1 fall back on their base letter, else on a hollow box
 * @param size font size, pixels
 * @returns    pixels
 */
export function measureText(text: string, size: number): number {
  let units = 0;
  for (const [advance] of glyphsOf(text)) units += advance;
  return (units * size) / unitsPerEm;
}

/**
 * Outlines of a line of text.
 * @param x,baseline where the line starts, pixels
 * @returns closed polygons, flat (x, y, x, y, ...), pixels, y downwards; holes wind the other way
 */
export function textOutlines(text: string, x: number, baseline: number, size: number): Float32Array[] {
  const outlines: Float32Array[] = [];
  const scale = size / unitsPerEm;
  let pen = x;
  for (const [advance, outline] of glyphsOf(text)) {
    for (const contour of flatten(outline)) {
      outlines.push(Float32Array.from(contour, (value, i) => (i % 2 === 0 ? pen + value * scale : baseline - value * scale)));
    }
    pen += advance * scale;
  }
  return outlines;
}

/** Whether the built-in font has every character of the text, so that no hollow box would be drawn. */
export function canWrite(text: string): boolean {
  return glyphsOf(text).every((glyph) => glyph !== hollowBox);
}

/** The text, or its longest beginning that fits with an ellipsis in `width` pixels; at least one character stays. */
export function fitText(text: string, size: number, width: number): string {
  if (measureText(text, size) <= width) return text;
  const characters = [...text];
  for (let n = characters.length - 1; n > 1; n--) {
    const shortened = `${characters.slice(0, n).join('').trimEnd()}..`;
    if (measureText(shortened, size) <= width) return shortened;
  }
  return characters[0] ?? '';
}

function glyphsOf(text: string): (readonly [number, string])[] {
  return [...text.normalize('NFC')].map((character) => {
    const base = character.normalize('NFKD').codePointAt(0) ?? 0;
    return labelGlyphs[character.codePointAt(0) ?? 0] ?? labelGlyphs[base] ?? hollowBox;
  });
}

/** Font units; each quadratic curve becomes four lines, which is below a tenth of a pixel at label sizes. */
function flatten(outline: string): number[][] {
  const contours: number[][] = [];
  let contour: number[] = [];
  for (const [, type, numbers] of outline.matchAll(/([MLQZ])([^MLQZ]*)/g)) {
    const values = numbers.split(' ').map(Number);
    if (type === 'M') contours.push((contour = [values[0], values[1]]));
    else if (type === 'L') contour.push(values[0], values[1]);
    else if (type === 'Q') {
      const [x0, y0] = contour.slice(-2);
      for (let step = 1; step <= 4; step++) {
        const t = step / 4;
        const [a, b, c] = [(1 - t) * (1 - t), 2 * t * (1 - t), t * t];
        contour.push(a * x0 + b * values[0] + c * values[2], a * y0 + b * values[1] + c * values[3]);
      }
    }
  }
  return contours;
}
