/** Inputs: `masks` [D, M, M]; output: [D, height, ceil(width / 16)] as `pasteMasks` says. */
export const PASTE_MASKS = 'PasteMasks';

/** Pixels of a word: as many bits as float32 holds exactly on every device, and a power of two. */
export const WORD = 16;

/** The attributes of the kernel. */
export interface PasteMasksAttributes {
  readonly boxes: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly threshold: number;
}
