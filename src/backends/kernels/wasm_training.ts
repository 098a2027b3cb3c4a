// The kernels that training needs and TensorFlow.js's wasm backend lacks, has slow or has wrong; importing this file registers them.
import '@tensorflow/tfjs-backend-wasm';
import './wasm_conv2d_backprop_filter.js';
import './wasm_conv2d_backprop_input.js';
import './wasm_max_pool_grad.js';
import './wasm_unsorted_segment_sum.js';
