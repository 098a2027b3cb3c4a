import {
  CropTransform,
  HFlipTransform,
  NoOpTransform,
  PadTransform,
  ResizeTransform,
  RotationTransform,
  VFlipTransform,
  type Transform,
} from '../../../../src/data/transforms/index.js';

/** A transform as the goldens write it: Detectron2's class and arguments. */
export interface GoldenTransform {
  type: string;
  params: Record<string, number | boolean | number[]>;
}

/** Ours for Detectron2's. */
export function transformOf({ type, params }: GoldenTransform): Transform {
  const p = params as Record<string, number>;
  switch (type) {
    case 'NoOpTransform':
      return new NoOpTransform();
    case 'HFlipTransform':
      return new HFlipTransform(p['width']!);
    case 'VFlipTransform':
      return new VFlipTransform(p['height']!);
    case 'ResizeTransform':
      return new ResizeTransform(p['h']!, p['w']!, p['new_h']!, p['new_w']!);
    case 'CropTransform':
      return new CropTransform(p['x0']!, p['y0']!, p['w']!, p['h']!);
    case 'PadTransform':
      return new PadTransform({
        left: p['x0']!,
        top: p['y0']!,
        right: p['x1']!,
        bottom: p['y1']!,
        original: { height: p['orig_h']!, width: p['orig_w']! },
        value: p['pad_value']!,
        labelValue: p['seg_pad_value']!,
      });
    case 'RotationTransform':
      return new RotationTransform({
        height: p['h']!,
        width: p['w']!,
        angle: p['angle']!,
        expand: params['expand'] as boolean,
        ...(params['center'] ? { center: params['center'] as [number, number] } : {}),
      });
    default:
      throw new Error(`no transform for ${type}`);
  }
}
