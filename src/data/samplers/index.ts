export { BatchStream, type BatchState, type Draw } from './batches.js';
export { RepeatFactorTrainingSampler, repeatFactors, repeatedIndices } from './repeat_factor.js';
export { InferenceSampler, RandomSubsetTrainingSampler, TrainingSampler, type Sampler } from './sampler.js';
