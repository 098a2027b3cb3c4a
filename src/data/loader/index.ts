export { type MixOptions, type SampleSource, type SampleTask } from './sample_source.js';
export { type BatchPart, TrainLoader, type LoadedDataset, type LoaderState, type TrainLoaderOptions } from './train_loader.js';
export { trainSamplesFromConfig, type TrainSamplesOptions } from './train_samples.js';
