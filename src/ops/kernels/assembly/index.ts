// The host kernels, compiled by scripts/build_kernels.mjs. Pointers are byte offsets into the imported memory; nothing is allocated here.
export { roiAlignForward, roiAlignBackward, roiAlignBackwardInOrder } from './roi_align';
export { nms } from './nms';
export { resizeColourRows, resizeColumns } from './resize';
export { groupedConv2d, groupedConv2dScratch } from './grouped_conv2d';
export { groupedConv2dFew } from './grouped_conv2d_few';
export { winogradFilter, winogradScratch, winogradTiles } from './winograd';
export { packPanels, products } from './products';
export { gradientFilter, gradientRows, gradientSums, gradientTiles } from './filter_gradient';
export { turnFilter } from './turn_filter';
