import { stat } from 'node:fs/promises';
import { ArgumentError, CheckpointError } from '../errors.js';
import { failOnNonFinite, loadCheckpoint, tensorFor } from './load.js';
import type { LoadReport, ModelParameter } from './load.js';
import { writeDetectron2Pkl } from './pkl_writer.js';
import { readCheckpoint } from './read.js';
import type { CheckpointFormat } from './read.js';
import { writeSafetensors } from './safetensors.js';
import type { SafetensorsTensor } from './safetensors.js';
import { TensorData, floatsToHalves } from './tensor_data.js';

export interface ConvertOptions {
  /** Names and shapes of a model: the file must fit it, and only its tensors are written. Without it all tensors are. */
  parameters?: readonly Pick<ModelParameter, 'name' | 'shape'>[];
  /** Prefixes of names that the file may lack; see `loadCheckpoint`. They are not written. */
  reinitialise?: readonly string[];
  /** Writes floats as float16: half the size, 11 significant bits. For .safetensors only. */
  half?: boolean;
  /** Names of the classes in order, stored in the file; predictions bear them. */
  classNames?: readonly string[];
}

export interface ConversionReport {
  source: string;
  format: CheckpointFormat;
  output: string;
  outputFormat: 'safetensors' | 'detectron2-pkl';
  tensors: number;
  /** Elements of all written tensors. */
  elements: number;
  /** Sizes of the files in bytes. */
  bytes: { source: number; output: number };
  /** Element types of the source and how many tensors have them. */
  dtypes: Record<string, number>;
  /** Parts of the file that are known to be of no use to a model and were left out. */
  ignored: string[];
  /** How the file fits the model, where one was given. */
  fit?: LoadReport;
}

/**
 * Converts a weight file (.pkl, .pth, .safetensors; see `readCheckpoint`) to .safetensors, or to a .pkl that Detectron2 loads. Names and layout are Detectron2's in both.
 * Written atomically, one tensor at a time.
 * @throws ArgumentError for another output format
 * @throws CheckpointError that names the file and the tensor: unreadable, NaN or infinity, beyond float16's range, or not fitting `parameters`
 */
export async function convertCheckpoint(input: string, output: string, options: ConvertOptions = {}): Promise<ConversionReport> {
  const outputFormat = formatOf(output);
  if (options.half === true && outputFormat !== 'safetensors')
    throw new ArgumentError(`half: ${output} is a .pkl, which stays in float32; write a .safetensors file instead.`);
  const checkpoint = await readCheckpoint(input);
  let fit: LoadReport | undefined;
  let chosen = checkpoint.tensors;
  if (options.parameters) {
    fit = loadCheckpoint(
      checkpoint,
      options.parameters.map(({ name, shape }) => ({ name, shape, set: () => undefined })),
      { reinitialise: options.reinitialise },
    );
    chosen = new Map(fit.loaded.map((name) => [name, tensorFor(name, checkpoint)!]));
    for (const { name, to } of fit.reshaped) {
      const tensor = chosen.get(name)!;
      chosen.set(name, new TensorData(tensor.toBytes(), tensor.dtype, to));
    }
  }
  const dtypes: Record<string, number> = {};
  let elements = 0;
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [name, tensor] of chosen) {
    dtypes[tensor.dtype] = (dtypes[tensor.dtype] ?? 0) + 1;
    elements += tensor.size;
    tensors.set(name, tensorToWrite(name, tensor, input, outputFormat, options.half ?? false));
  }
  const { classNames } = options;
  if (classNames) checkClassNames(classNames, tensors, input);
  const metadata = { ...checkpoint.metadata, ...(classNames ? { class_names: JSON.stringify(classNames) } : {}) };
  if (outputFormat === 'safetensors') await writeSafetensors(output, tensors, metadata);
  else await writeDetectron2Pkl(output, tensors, metadata);
  const bytes = { source: (await stat(input)).size, output: (await stat(output)).size };
  return {
    source: input,
    format: checkpoint.format,
    output,
    outputFormat,
    tensors: tensors.size,
    elements,
    bytes,
    dtypes,
    ignored: checkpoint.ignored,
    fit,
  };
}

/** The box predictor has a row for each class and one for the background. */
function checkClassNames(names: readonly string[], tensors: ReadonlyMap<string, SafetensorsTensor>, source: string): void {
  const predictor = [...tensors].find(([name]) => /(^|\.)box_predictor\.(0\.)?cls_score\.weight$/.test(name));
  if (predictor === undefined) return;
  const classes = predictor[1].shape[0] - 1;
  if (names.length !== classes)
    throw new ArgumentError(
      `${names.length} class names for ${source}, whose ${predictor[0]} has ${classes} classes and the background.`,
    );
}

function formatOf(output: string): ConversionReport['outputFormat'] {
  if (output.endsWith('.safetensors')) return 'safetensors';
  if (output.endsWith('.pkl')) return 'detectron2-pkl';
  throw new ArgumentError(`${output}: the output has to end in .safetensors or .pkl.`);
}

function tensorToWrite(
  name: string,
  tensor: TensorData,
  source: string,
  format: ConversionReport['outputFormat'],
  half: boolean,
): SafetensorsTensor {
  const { shape, dtype } = tensor;
  const isFloat = dtype === 'F32' || dtype === 'F64' || dtype === 'F16' || dtype === 'BF16';
  if (!isFloat) return { shape, dtype, data: () => tensor.toBytes() };
  const checked = (): Float32Array => {
    const values = tensor.toFloat32();
    failOnNonFinite(values, name, shape, source);
    return values;
  };
  if (half && dtype !== 'F16') return { shape, dtype: 'F16', data: () => halves(checked(), name, source) };
  if (dtype === 'BF16' && format === 'detectron2-pkl') return { shape, dtype: 'F32', data: checked };
  return {
    shape,
    dtype,
    data: () => {
      checked();
      return tensor.toBytes();
    },
  };
}

function halves(values: Float32Array, name: string, source: string): Uint16Array {
  const converted = floatsToHalves(values);
  const at = converted.findIndex((bits) => (bits & 0x7fff) === 0x7c00);
  if (at >= 0)
    throw new CheckpointError(
      `${source}: tensor '${name}' holds ${values[at]} at element ${at}, beyond float16's 65504. Convert without --half.`,
    );
  return converted;
}
