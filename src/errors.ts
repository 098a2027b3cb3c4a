/** The base of every error that this library throws on purpose: what is wrong, where, and what to do, in that order. */
export class MaskRcnnError extends Error {
  // Spelled out in every class: bundlers shorten the names of classes, and errors cross from workers by name.
  override readonly name: string = 'MaskRcnnError';

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
  }
}

/** A picture that cannot be read: missing, empty, truncated, not an image, or over the size limit. */
export class ImageError extends MaskRcnnError {
  override readonly name = 'ImageError';
}

/** A configuration with an unknown key, a wrong type or a value that the models cannot honour. */
export class ConfigError extends MaskRcnnError {
  override readonly name = 'ConfigError';
}

/** A weight file that cannot be read, or that does not fit the model. */
export class CheckpointError extends MaskRcnnError {
  override readonly name = 'CheckpointError';
}

/** A device that is not there, or that cannot do what was asked. */
export class BackendError extends MaskRcnnError {
  override readonly name = 'BackendError';
}

/** A data set file with a defect; names the file, the record and the reason. */
export class DatasetError extends MaskRcnnError {
  override readonly name = 'DatasetError';
}

/** A training run that cannot go on: its numbers are no longer finite. */
export class DivergenceError extends MaskRcnnError {
  override readonly name = 'DivergenceError';
}

/** A file that cannot be written: the disk is full, the folder is missing or not ours. */
export class WriteError extends MaskRcnnError {}

/** A model-zoo name, a download or a cached file that is not what it should be. */
export class ZooError extends MaskRcnnError {
  override readonly name = 'ZooError';
}

/** An argument of a public function with a wrong type, shape or range. */
export class ArgumentError extends MaskRcnnError {
  override readonly name = 'ArgumentError';
}
