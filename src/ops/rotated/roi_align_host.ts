import { type HostArray, registerHostKernel } from '../kernels/host_kernel.js';
import { ROTATED_ROI_ALIGN, ROTATED_ROI_ALIGN_GRAD, type RotatedRoiAlignAttributes } from './kernel_names.js';
import { forEachRotatedTerm } from './samples.js';

const zeros = (shape: number[]): HostArray => ({ shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) });

registerHostKernel<RotatedRoiAlignAttributes>(ROTATED_ROI_ALIGN, ({ x, rois }, { shape, ...o }) => {
  const channels = shape[3];
  const out = zeros([rois.shape[0], ...o.outputSize, channels]);
  forEachRotatedTerm(rois.values, shape, o, (output, input, weight) => {
    for (let c = 0; c < channels; c++) out.values[output * channels + c] += weight * x.values[input * channels + c];
  });
  return out;
});

registerHostKernel<RotatedRoiAlignAttributes>(ROTATED_ROI_ALIGN_GRAD, ({ dy, rois }, { shape, ...o }) => {
  const channels = shape[3];
  const out = zeros(shape);
  forEachRotatedTerm(rois.values, shape, o, (output, input, weight) => {
    for (let c = 0; c < channels; c++) out.values[input * channels + c] += weight * dy.values[output * channels + c];
  });
  return out;
});
