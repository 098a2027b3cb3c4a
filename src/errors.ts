/** The base of every error that this library throws on purpose: what is wrong, where, and what to do, in that order. */
export class MaskRcnnError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A picture that cannot be read: missing, empty, truncated, not an image, or over the size limit. */
export class ImageError extends MaskRcnnError {}

/** A configuration with an unknown key, a wrong type or a value that the models cannot honour. */
export class ConfigError extends MaskRcnnError {}

/** A weight file that cannot be read, or that does not fit the model. */
export class CheckpointError extends MaskRcnnError {}

/** A device that is not there, or that cannot do what was asked. */
export class BackendError extends MaskRcnnError {}

/** A data set file with a defect; names the file, the record and the reason. */
export class DatasetError extends MaskRcnnError {}

/** A training run that cannot go on: its numbers are no longer finite. */
export class DivergenceError extends MaskRcnnError {}

/** A file that cannot be written: the disk is full, the folder is missing or not ours. */
export class WriteError extends MaskRcnnError {}

/** A model-zoo name, a download or a cached file that is not what it should be. */
export class ZooError extends MaskRcnnError {}

/** An argument of a public function with a wrong type, shape or range. */
export class ArgumentError extends MaskRcnnError {}
