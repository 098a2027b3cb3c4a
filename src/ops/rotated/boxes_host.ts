import { registerHostKernel } from '../kernels/host_kernel.js';
import { registerHostSuppression } from '../nms/batched_nms_host.js';
import { rotatedIou } from './iou.js';
import { BATCHED_ROTATED_NMS, ROTATED_IOU } from './kernel_names.js';
import { batchedRotatedNms } from './nms.js';

registerHostKernel(ROTATED_IOU, ({ a, b }) => ({ shape: [a.shape[0], b.shape[0]], values: rotatedIou(a.values, b.values) }));

registerHostSuppression(BATCHED_ROTATED_NMS, 5, batchedRotatedNms);
