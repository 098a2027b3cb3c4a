/** How the samples of a read picture are ordered. */
export type ImageFormat = 'BGR' | 'RGB' | 'L';

/** A decoded picture: `data` is [height, width, channels] interleaved, 8 bits a sample. */
export interface Image {
  data: Uint8Array;
  height: number;
  width: number;
  /** 3 for `BGR` and `RGB`, 1 for `L`. */
  channels: number;
  format: ImageFormat;
}

/** Pillow's luma: ITU-R 601 in 16-bit fixed point, rounded. */
export function luma(red: number, green: number, blue: number): number {
  return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16;
}

/**
 * Orders decoded samples as asked.
 * @param samples [pixels * stride] with one gray (`gray`) or three RGB samples first; the rest of the stride (alpha) is dropped, not composited
 * @param stride samples a pixel in `samples`
 * @returns a new array [pixels * 1] for `L`, [pixels * 3] else; `samples` itself where it is already right
 */
export function orderSamples(samples: Uint8Array, stride: number, gray: boolean, format: ImageFormat): Uint8Array {
  const pixels = samples.length / stride;
  if (format === 'L') {
    if (gray && stride === 1) return samples;
    const out = new Uint8Array(pixels);
    for (let i = 0, s = 0; i < pixels; i++, s += stride) {
      out[i] = gray ? samples[s] : luma(samples[s], samples[s + 1], samples[s + 2]);
    }
    return out;
  }
  if (format === 'RGB' && !gray && stride === 3) return samples;
  const out = new Uint8Array(pixels * 3);
  const green = gray ? 0 : 1;
  const first = gray ? 0 : format === 'RGB' ? 0 : 2;
  const third = gray ? 0 : 2 - first;
  for (let o = 0, s = 0; o < out.length; o += 3, s += stride) {
    out[o] = samples[s + first];
    out[o + 1] = samples[s + green];
    out[o + 2] = samples[s + third];
  }
  return out;
}

/**
 * 16-bit samples to 8 bits as Pillow does: a lone gray channel is clipped at 255 (mode `I;16`), everything else keeps the high byte.
 */
export function narrowSamples(samples: Uint16Array, clip: boolean): Uint8Array {
  const out = new Uint8Array(samples.length);
  if (clip) for (let i = 0; i < out.length; i++) out[i] = samples[i] > 255 ? 255 : samples[i];
  else for (let i = 0; i < out.length; i++) out[i] = samples[i] >> 8;
  return out;
}

/** CMYK (0 = no ink) to RGB without a colour profile, with Pillow's rounding. */
export function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const out = new Uint8Array((cmyk.length / 4) * 3);
  for (let s = 0, o = 0; s < cmyk.length; s += 4, o += 3) {
    const light = 255 - cmyk[s + 3];
    for (let c = 0; c < 3; c++) {
      const product = cmyk[s + c] * light + 128;
      const value = light - (((product >> 8) + product) >> 8);
      out[o + c] = value < 0 ? 0 : value;
    }
  }
  return out;
}

/** The first `kept` of every `stride` samples. */
export function firstSamples<T extends Uint8Array | Uint16Array>(samples: T, stride: number, kept: number): T {
  const out = samples.slice(0, (samples.length / stride) * kept) as T;
  for (let o = 0, s = 0; o < out.length; o += kept, s += stride) for (let c = 0; c < kept; c++) out[o + c] = samples[s + c];
  return out;
}

/** Luma and colour differences of RGB / 255 by the rows of BT.601, as Detectron2's format `YUV-BT.601` has them. */
const YUV_ROWS = [
  [0.299, 0.587, 0.114],
  [-0.14713, -0.28886, 0.436],
  [0.615, -0.51499, -0.10001],
];

/** @returns [height, width, 3] as (Y, U, V); Detectron2's format `YUV-BT.601` */
export function rgbToYuv({ data, format }: Pick<Image, 'data' | 'format'>): Float64Array<ArrayBuffer> {
  const [red, blue] = format === 'BGR' ? [2, 0] : [0, 2];
  const step = format === 'L' ? 1 : 3;
  const out = new Float64Array((data.length / step) * 3);
  for (let o = 0, s = 0; o < out.length; o += 3, s += step) {
    const [r, g, b] = step === 1 ? [data[s], data[s], data[s]] : [data[s + red], data[s + 1], data[s + blue]];
    YUV_ROWS.forEach(([wr, wg, wb], c) => {
      out[o + c] = (r / 255) * wr + (g / 255) * wg + (b / 255) * wb;
    });
  }
  return out;
}
