import * as tf from '@tensorflow/tfjs-core';

const EPSILON = 1e-7;

/** The larger of prediction and target; at a tie the prediction gets half of the gradient, as in PyTorch. */
function larger(prediction: tf.Tensor, target: tf.Tensor): tf.Tensor {
  const choose = tf.customGrad((x: tf.Tensor | tf.GradSaveFunc, save: tf.Tensor | tf.GradSaveFunc) => {
    const difference = tf.sub(x as tf.Tensor, target);
    (save as tf.GradSaveFunc)([difference]);
    const gradFunc = (dy: tf.Tensor, [d]: tf.Tensor[]): tf.Tensor => tf.mul(dy, tf.mul(tf.add(tf.sign(d), 1), 0.5));
    return { value: tf.maximum(x as tf.Tensor, target), gradFunc };
  });
  return choose(prediction);
}

const smaller = (prediction: tf.Tensor, target: tf.Tensor): tf.Tensor => tf.neg(larger(tf.neg(prediction), tf.neg(target)));

interface Sides {
  readonly x0: tf.Tensor;
  readonly y0: tf.Tensor;
  readonly x1: tf.Tensor;
  readonly y1: tf.Tensor;
  readonly width: tf.Tensor;
  readonly height: tf.Tensor;
}

function sides(boxes: tf.Tensor2D): Sides {
  const [x0, y0, x1, y1] = [0, 1, 2, 3].map((i) => tf.slice(boxes, [0, i], [-1, 1]));
  return { x0, y0, x1, y1, width: tf.sub(x1, x0), height: tf.sub(y1, y0) };
}

/** What all three losses share: intersection and union, and the smallest box around both. */
function overlap(p: Sides, t: Sides): { intersection: tf.Tensor; union: tf.Tensor; around: [tf.Tensor, tf.Tensor] } {
  const width = tf.relu(tf.sub(smaller(p.x1, t.x1), larger(p.x0, t.x0)));
  const height = tf.relu(tf.sub(smaller(p.y1, t.y1), larger(p.y0, t.y0)));
  const intersection = tf.mul(width, height);
  const union = tf.sub(tf.add(tf.mul(p.width, p.height), tf.mul(t.width, t.height)), intersection);
  const around: [tf.Tensor, tf.Tensor] = [
    tf.sub(larger(p.x1, t.x1), smaller(p.x0, t.x0)),
    tf.sub(larger(p.y1, t.y1), smaller(p.y0, t.y0)),
  ];
  return { intersection, union, around };
}

/**
 * Generalised IoU loss (Rezatofighi et al. 2019): 1 - IoU + the part of the enclosing box that is in neither.
 * @param predictions [R, 4] as (x0, y0, x1, y1) with x1 >= x0, y1 >= y0
 * @param targets     [R, 4], no gradient
 * @returns           [R]
 */
export function giouLoss(predictions: tf.Tensor2D, targets: tf.Tensor2D): tf.Tensor1D {
  return tf.tidy(() => {
    const { intersection, union, around } = overlap(sides(predictions), sides(targets));
    const area = tf.mul(around[0], around[1]);
    const giou = tf.sub(tf.div(intersection, tf.add(union, EPSILON)), tf.div(tf.sub(area, union), tf.add(area, EPSILON)));
    return flat(tf.sub(1, giou));
  });
}

/** IoU loss plus the squared distance of the centres over the squared diagonal of the enclosing box. */
function distanceLoss(p: Sides, t: Sides): { iou: tf.Tensor; loss: tf.Tensor } {
  const { intersection, union, around } = overlap(p, t);
  const iou = tf.div(intersection, tf.add(union, EPSILON));
  const diagonal = tf.add(tf.add(tf.square(around[0]), tf.square(around[1])), EPSILON);
  const dx = tf.div(tf.sub(tf.add(p.x0, p.x1), tf.add(t.x0, t.x1)), 2);
  const dy = tf.div(tf.sub(tf.add(p.y0, p.y1), tf.add(t.y0, t.y1)), 2);
  return { iou, loss: tf.add(tf.sub(1, iou), tf.div(tf.add(tf.square(dx), tf.square(dy)), diagonal)) };
}

/** Distance-IoU loss (Zheng et al. 2020, equation 7); arguments and result as `giouLoss`. */
export function diouLoss(predictions: tf.Tensor2D, targets: tf.Tensor2D): tf.Tensor1D {
  return tf.tidy(() => flat(distanceLoss(sides(predictions), sides(targets)).loss));
}

/** Complete-IoU loss (Zheng et al. 2020, equation 10); the weight of the aspect term gets no gradient. Arguments and result as `giouLoss`. */
export function ciouLoss(predictions: tf.Tensor2D, targets: tf.Tensor2D): tf.Tensor1D {
  return tf.tidy(() => {
    const [p, t] = [sides(predictions), sides(targets)];
    const { iou, loss } = distanceLoss(p, t);
    const angle = tf.sub(tf.atan(tf.div(t.width, t.height)), tf.atan(tf.div(p.width, p.height)));
    return flat(tf.add(loss, aspectTerm(tf.mul(tf.square(angle), 4 / Math.PI ** 2), iou)));
  });
}

/** alpha v with alpha = v / (1 - IoU + v) held constant. */
function aspectTerm(v: tf.Tensor, iou: tf.Tensor): tf.Tensor {
  const term = tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [x, y, save] = args as [tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const alpha = tf.div(x, tf.add(tf.add(tf.sub(1, y), x), EPSILON));
    save([alpha]);
    return { value: tf.mul(alpha, x), gradFunc: (dy: tf.Tensor, [a]: tf.Tensor[]) => [tf.mul(dy, a), tf.zerosLike(dy)] };
  });
  return term(v, iou);
}

const flat = (column: tf.Tensor): tf.Tensor1D => tf.reshape(column, [-1]);
