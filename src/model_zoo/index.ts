export { type BackboneSettings, type ImageNetBackbone, imageNetBackbones } from './backbones.js';
export { addressOf, fetchWeights, type FetchOptions } from './fetch_weights.js';
export { cacheFolder } from './cache_folder.js';
export { cocoClasses, cocoClassNames, type CocoClass } from './coco_classes.js';
export { download, type DownloadOptions, type DownloadRecord } from './download.js';
export { unsupportedInZooModel, zooModel, zooModels, type PublishedAccuracy, type ZooModel } from './manifest.js';
