import type { Config } from '../../src/config/index.js';
import { buildModel } from '../../src/meta_arch/build_model.js';

/** Weights and biases of the model of a configuration; a backend must have been started. */
export function countParameters(config: Config): number {
  const model = buildModel(config);
  const learnt = model.modelParameters().filter(({ kind }) => kind !== 'buffer');
  const count = learnt.reduce((sum, { variable }) => sum + variable.size, 0);
  model.dispose();
  return count;
}

/**
 * The configuration of a Mask R-CNN with the heads of Multi-task Network Cascades, so wide that both have the same number of parameters, to within half of what
 * one more channel in both paths adds. `registerMnc` must have been called.
 */
export function asCascade(maskRcnn: Config): Config {
  const config = structuredClone(maskRcnn);
  const { MODEL } = config;
  MODEL.ROI_HEADS.NAME = 'MNCHeads';
  // As in the paper: 14 x 14 bins, of which the fully connected layers see the largest of every 2 x 2.
  MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION = 14;
  const wanted = countParameters(maskRcnn);
  const ofWidth = (width: number): number => {
    MODEL.ROI_BOX_HEAD.FC_DIM = width;
    return countParameters(config);
  };
  const [one, two] = [ofWidth(1), ofWidth(2)];
  MODEL.ROI_BOX_HEAD.FC_DIM = Math.max(1, Math.round(1 + (wanted - one) / (two - one)));
  return config;
}
