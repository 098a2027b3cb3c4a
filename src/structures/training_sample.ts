/** The outline of one object as the data set gave it, in pixels of the input frame (after augmentation). */
export type MaskAnnotation =
  | { readonly kind: 'polygons'; /** Each `x0, y0, x1, y1, ...`. */ readonly polygons: readonly Float64Array[] }
  | { readonly kind: 'bitmap'; /** [H, W], 0 or 1, row-major, as large as the image. */ readonly bitmap: Uint8Array };

/** The objects of one training image in the input frame: crowds are left out, empty ones too. G objects. */
export interface GroundTruth {
  /** [G, 4] as (x0, y0, x1, y1). */
  readonly boxes: Float32Array;
  /** [G], in 0..K-1. */
  readonly classes: Int32Array;
  /** [G], where the data set has masks. */
  readonly masks?: readonly MaskAnnotation[];
  /** [G, P, 3] as (x, y, visibility 0..2), where the data set has keypoints. */
  readonly keypoints?: Float32Array;
}

/** One augmented picture with its objects: what the loader gives and a model learns from. */
export interface TrainingSample {
  /** [H, W, 3] uint8 in the config's channel order (`INPUT.FORMAT`), neither normalised nor padded. */
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
  /** The picture's id in the data set and its file, for messages. */
  readonly imageId: number;
  readonly fileName: string;
  readonly groundTruth: GroundTruth;
  /** [H, W] class per pixel, 255 is ignored; where the data set has stuff. */
  readonly semantic?: Uint8Array;
}
