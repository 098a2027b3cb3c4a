/** Red, green, blue, each 0..255. */
export type Rgb = readonly [red: number, green: number, blue: number];

/** Angle of the golden section: successive hues land as far as possible from all earlier ones, whatever the number of classes. */
const goldenAngle = 137.50776405003785;
/** (lightness, chroma) in OKLCH, taken in turn, so that classes whose hues come close again still differ in tone. */
const tones: readonly (readonly [number, number])[] = [
  [0.72, 0.17],
  [0.62, 0.2],
  [0.82, 0.15],
];

/**
 * The colour of a class: it depends on the index alone, so it is the same in every picture, process and format.
 * @param classIndex contiguous class index, 0-based; negative or fractional ones are taken as their whole absolute value
 */
export function classColor(classIndex: number): Rgb {
  const index = Math.abs(Math.trunc(classIndex)) || 0;
  const [lightness, chroma] = tones[index % tones.length];
  const hue = ((250 + index * goldenAngle) % 360) * (Math.PI / 180);
  // Chroma shrinks until the colour exists in sRGB; the hue and the lightness stay.
  for (let c = chroma; ; c -= 0.01) {
    const linear = oklabToLinear(lightness, c * Math.cos(hue), c * Math.sin(hue));
    if (c <= 0 || linear.every((v) => v >= 0 && v <= 1)) {
      const [r, g, b] = linear.map((v) => Math.round(255 * encode(Math.min(1, Math.max(0, v)))));
      return [r, g, b];
    }
  }
}

/** Black or white, whichever has the higher WCAG contrast on `ground` (always at least 4.5:1). */
export function textColorOn(ground: Rgb): Rgb {
  const luminance = relativeLuminance(ground);
  return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 ? [255, 255, 255] : [0, 0, 0];
}

/** WCAG relative luminance of an sRGB colour, 0 (black) to 1 (white). */
export function relativeLuminance([r, g, b]: Rgb): number {
  return 0.2126 * decode(r / 255) + 0.7152 * decode(g / 255) + 0.0722 * decode(b / 255);
}

/** `#rrggbb`. */
export function hexColor(color: Rgb): string {
  return `#${color.map((v) => v.toString(16).padStart(2, '0')).join('')}`;
}

function encode(linear: number): number {
  return linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
}

function decode(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

/** Ottosson's OKLab to linear sRGB. */
function oklabToLinear(lightness: number, a: number, b: number): [number, number, number] {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}
