/** The rate that goes with a batch: Detectron2's 0.02 with 16 pictures, linear in their number (Goyal et al. 2017). */
export function rateForBatch(pictures: number): number {
  return (0.02 / 16) * pictures;
}

/** The rate that Mask R-CNNs are published with for AdamW, with 16 pictures a step (Swin) as with 64 (ViTDet). */
export const ADAMW_RATE = 0.0001;
