import { float32NotAbove } from './nms.js';

/** Pairs whose IoU differs from the threshold by more than this share of it are told apart without exact arithmetic. */
const DOUBTFUL = 2 ** -20;

/** What the comparison on a GPU reads as uniforms. */
export interface IouComparison {
  /** An overlap above this share of the union is above the threshold. */
  readonly surely: number;
  /** One below this share is not. */
  readonly barely: number;
  /** The middle between the threshold and the next float32 as a whole number of 25 bits: the 13 upper and the 12 lower ones. */
  readonly middleHigh: number;
  readonly middleLow: number;
  /** By how much the exponents of overlap and union differ where both products below begin at the same bit. */
  readonly exponent: number;
}

/**
 * The comparison "the IoU, rounded to float32, is above the threshold" for a GPU, whose own division may be off by some last bits.
 *
 * A quotient of two float32 is never the middle between two neighbouring float32: middle times divisor would have 25 significant bits or more. So the
 * rounded quotient is above the threshold exactly when the overlap is above the union times the middle between the threshold and the next
 * float32. Where the two come close, that product is formed in integers.
 * @param threshold not negative
 */
export function iouComparison(threshold: number): IouComparison {
  // No IoU is above 1; and numbers that a GPU may take for 0 are 0.
  const least = Math.min(float32NotAbove(threshold), 1);
  const t = least < 2 ** -126 ? 0 : least;
  const bits = new Uint32Array(Float32Array.of(t).buffer)[0];
  const middle = 2 * ((bits & 0x7fffff) | 0x800000) + 1;
  return {
    surely: t * (1 + DOUBTFUL),
    barely: t * (1 - DOUBTFUL),
    middleHigh: middle >>> 12,
    middleLow: middle & 0xfff,
    exponent: (bits >>> 23) - 127,
  };
}

/**
 * The comparison "the IoU is at least the threshold", of rotated boxes: that is, above the float32 before it. Of a threshold of 0 there is none before:
 * `all` pairs overlap by that.
 * @param threshold not negative
 */
export function atLeastComparison(threshold: number): IouComparison & { readonly all: boolean } {
  const before = Float32Array.of(threshold);
  const all = !(before[0] > 0);
  if (!all) new Int32Array(before.buffer)[0] -= 1;
  return { ...iouComparison(before[0]), all };
}

/** `isAbove(overlap, both)`: whether overlap / both, rounded, is above the threshold. Needs the uniforms of {@link IouComparison}. */
export const IS_ABOVE_WGSL = `
  fn isAbove(overlap : f32, both : f32) -> bool {
    // Two boxes without area divide 0 by 0, and both stay.
    if (!(overlap > 0.0)) { return false; }
    if (overlap > uniforms.surely * both) { return true; }
    if (overlap < uniforms.barely * both) { return false; }
    // i * 2^(24 + d) against u * middle, as two digits of 24 bits.
    let a = bitcast<u32>(overlap);
    let b = bitcast<u32>(both);
    let d = i32(a >> 23u) - i32(b >> 23u) - uniforms.exponent;
    let i = (a & 0x7fffffu) | 0x800000u;
    let uHigh = ((b & 0x7fffffu) | 0x800000u) >> 12u;
    let uLow = b & 0xfffu;
    let middleHigh = u32(uniforms.middleHigh);
    let middleLow = u32(uniforms.middleLow);
    let cross = uHigh * middleLow + uLow * middleHigh;
    let last = ((cross & 0xfffu) << 12u) + uLow * middleLow;
    let high = uHigh * middleHigh + (cross >> 12u) + (last >> 24u);
    let low = last & 0xffffffu;
    let up = u32(max(d, 0));
    let down = u32(max(-d, 0));
    let iHigh = (i << up) >> down;
    let iLow = (i << (24u - down)) & select(0u, 0xffffffu, down > 0u);
    return iHigh > high || (iHigh == high && iLow > low);
  }`;

/** The same in GLSL. */
export const IS_ABOVE_GLSL = `
  bool isAbove(float overlap, float both) {
    if (!(overlap > 0.0)) return false;
    if (overlap > surely * both) return true;
    if (overlap < barely * both) return false;
    uint a = floatBitsToUint(overlap);
    uint b = floatBitsToUint(both);
    int d = int(a >> 23u) - int(b >> 23u) - exponent;
    uint i = (a & 0x7fffffu) | 0x800000u;
    uint uHigh = ((b & 0x7fffffu) | 0x800000u) >> 12u;
    uint uLow = b & 0xfffu;
    uint cross = uHigh * uint(middleLow) + uLow * uint(middleHigh);
    uint last = ((cross & 0xfffu) << 12u) + uLow * uint(middleLow);
    uint high = uHigh * uint(middleHigh) + (cross >> 12u) + (last >> 24u);
    uint low = last & 0xffffffu;
    uint up = uint(max(d, 0));
    uint down = uint(max(-d, 0));
    uint iHigh = (i << up) >> down;
    uint iLow = down > 0u ? (i << (24u - down)) & 0xffffffu : 0u;
    return iHigh > high || (iHigh == high && iLow > low);
  }`;
