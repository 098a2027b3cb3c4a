/**
 * Greedy suppression of boxes that are already in order of decreasing score. Every step is rounded to float32 as torchvision's.
 * @param boxes     [n, 4] x0, y0, x1, y1
 * @param threshold a pair with a larger IoU is suppressed
 * @param kept      5 arrays of (n + 4) floats: x0, y0, x1, y1 and area of the boxes kept so far
 * @param indices   [n] i32, the kept positions
 * @returns         how many are kept
 */
export function nms(boxes: usize, n: i32, threshold: f32, kept: usize, indices: usize): i32 {
  const stride = <usize>(n + 4) << 2;
  const zero = f32x4.splat(0), limit = f32x4.splat(threshold);
  let count: i32 = 0;
  for (let i = 0; i < n; i++, boxes += 16) {
    const x0 = load<f32>(boxes), y0 = load<f32>(boxes, 4), x1 = load<f32>(boxes, 8), y1 = load<f32>(boxes, 12);
    const area = (x1 - x0) * (y1 - y0);
    const vx0 = f32x4.splat(x0), vy0 = f32x4.splat(y0), vx1 = f32x4.splat(x1), vy1 = f32x4.splat(y1), va = f32x4.splat(area);
    let suppressed = false;
    const end = kept + (<usize>count << 2);
    for (let k = kept; k < end; k += 16) {
      const w = f32x4.max(zero, f32x4.sub(f32x4.min(vx1, v128.load(k + 2 * stride)), f32x4.max(vx0, v128.load(k))));
      const h = f32x4.max(zero, f32x4.sub(f32x4.min(vy1, v128.load(k + 3 * stride)), f32x4.max(vy0, v128.load(k + stride))));
      const inter = f32x4.mul(w, h);
      if (!v128.any_true(f32x4.gt(inter, zero))) continue;
      // The kept box's area comes first, as there; lanes past the end hold empty boxes and give 0.
      const iou = f32x4.div(inter, f32x4.sub(f32x4.add(v128.load(k + 4 * stride), va), inter));
      if (v128.any_true(f32x4.gt(iou, limit))) {
        suppressed = true;
        break;
      }
    }
    if (suppressed) continue;
    const at = kept + (<usize>count << 2);
    store<f32>(at, x0);
    store<f32>(at + stride, y0);
    store<f32>(at + 2 * stride, x1);
    store<f32>(at + 3 * stride, y1);
    store<f32>(at + 4 * stride, area);
    store<i32>(indices + (<usize>count << 2), i);
    count++;
  }
  return count;
}
