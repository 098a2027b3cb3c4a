import * as tf from '@tensorflow/tfjs-core';
import type { RoiAlignOptions } from './geometry.js';
import { assignLevels, type LevelRange } from './levels.js';

/** Inputs: `rois` [R, 5] and the maps `x0`, `x1`, ... ; output [R, h, w, C]. */
export const MULTILEVEL_ROI_ALIGN = 'MultilevelRoiAlign';

/** Inputs: `dy` [R, h, w, C] and `rois`; outputs: the gradients of the maps, in order. */
export const MULTILEVEL_ROI_ALIGN_GRAD = 'MultilevelRoiAlignGrad';

/** The attributes of both kernels. */
export interface RoiAlignAttributes extends RoiAlignOptions {
  /** [R] index of each region's map. */
  levels: Int32Array;
  /** The maps' shapes, [N, H, W, C]. */
  shapes: number[][];
}

/** One backend's pair of kernels. */
export interface RoiAlignKernels<B> {
  /** The forward pass on regions that only the device knows, without reading them; undefined where `forward` is to be taken. */
  forwardOnDevice?(backend: B, maps: tf.TensorInfo[], rois: tf.TensorInfo, call: RoiAlignCall): tf.TensorInfo | undefined;
  forward(backend: B, maps: tf.TensorInfo[], rois: tf.TensorInfo, attributes: RoiAlignAttributes): tf.TensorInfo;
  backward(backend: B, dy: tf.TensorInfo, rois: tf.TensorInfo, attributes: RoiAlignAttributes): tf.TensorInfo[];
}

/** The attributes as the op passes them: levels that are not given follow from the regions. */
export interface RoiAlignCall extends Omit<RoiAlignAttributes, 'levels'> {
  levels: Int32Array | LevelRange;
}

/** Levels by the regions' sizes, where the caller left the choice to the kernel because only the device knows the regions. */
function withLevels(call: RoiAlignCall, rois: tf.TensorInfo, backend: unknown): RoiAlignAttributes {
  const { levels } = call;
  if (levels instanceof Int32Array) return { ...call, levels };
  const values = (backend as tf.KernelBackend).readSync(rois.dataId) as Float32Array;
  return { ...call, levels: assignLevels(values, levels.minLevel, levels.maxLevel) };
}

/** Registers a backend's pair under the kernel names. `B` is the backend's own class or the part of it that the pair uses. */
export function registerRoiAlign<B>(backendName: string, kernels: RoiAlignKernels<B>): void {
  if (tf.getKernel(MULTILEVEL_ROI_ALIGN, backendName)) return;
  tf.registerKernel({
    kernelName: MULTILEVEL_ROI_ALIGN,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const call = attrs as unknown as RoiAlignCall;
      const rois = inputs.rois as tf.TensorInfo;
      const maps = call.shapes.map((_, level) => inputs[`x${level}`] as tf.TensorInfo);
      return (
        kernels.forwardOnDevice?.(backend as B, maps, rois, call) ??
        kernels.forward(backend as B, maps, rois, withLevels(call, rois, backend))
      );
    },
  });
  tf.registerKernel({
    kernelName: MULTILEVEL_ROI_ALIGN_GRAD,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) =>
      kernels.backward(
        backend as B,
        inputs.dy as tf.TensorInfo,
        inputs.rois as tf.TensorInfo,
        withLevels(attrs as unknown as RoiAlignCall, inputs.rois as tf.TensorInfo, backend),
      ),
  });
}
