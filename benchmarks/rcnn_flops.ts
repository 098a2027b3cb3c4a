/** Floating point operations (two per multiply-add) of convolutions and matrices of R-50-FPN Mask R-CNN: other work is left out. */
export function rcnnFlops(height: number, width: number, proposals: number, detections: number): number {
  const area = (stride: number): number => Math.ceil(height / stride) * Math.ceil(width / stride);
  const conv = (kernel: number, inputs: number, outputs: number, pixels: number): number =>
    kernel * kernel * inputs * outputs * pixels;
  let sum = conv(7, 3, 64, area(2));
  const blocks = [3, 4, 6, 3];
  let channels = 64;
  blocks.forEach((count, stage) => {
    const middle = 64 << stage;
    const pixels = area(4 << stage);
    for (let block = 0; block < count; block++) {
      // The stride is in the first 1x1 convolution (Detectron2's default), so all of the block works on the smaller map.
      sum += conv(1, channels, middle, pixels) + conv(3, middle, middle, pixels) + conv(1, middle, 4 * middle, pixels);
      if (block === 0) sum += conv(1, channels, 4 * middle, pixels);
      channels = 4 * middle;
    }
    sum += conv(1, channels, 256, pixels) + conv(3, 256, 256, pixels);
  });
  for (const stride of [4, 8, 16, 32, 64]) sum += conv(3, 256, 256, area(stride)) + conv(1, 256, 15, area(stride));
  sum += proposals * (7 * 7 * 256 * 1024 + 1024 * 1024 + 1024 * 81 * 5);
  sum += detections * (4 * conv(3, 256, 256, 14 * 14) + conv(1, 256, 4 * 256, 14 * 14) + conv(1, 256, 80, 28 * 28));
  return 2 * sum;
}
