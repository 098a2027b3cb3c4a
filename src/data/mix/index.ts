export { copyPaste } from './copy_paste.js';
export { mosaic } from './mosaic.js';
export { transformSample } from './transform_sample.js';
