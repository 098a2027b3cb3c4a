/** How the taps of a deformable convolution lie before they are moved. */
export interface DeformGeometry {
  kernelSize: [number, number];
  stride: number;
  padding: number;
  dilation: number;
  /** Convolution groups: channels in and out are split into so many independent parts. */
  groups: number;
  /** Parts of the input channels with offsets (and masks) of their own. */
  deformableGroups: number;
}

/** Height or width of the output: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. */
export function outputSize(size: number, kernel: number, { stride, padding, dilation }: DeformGeometry): number {
  return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}
