import { ArgumentError, CheckpointError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';
import type { Checkpoint } from './parse.js';
import { elementCount } from './tensor_data.js';
import type { TensorData } from './tensor_data.js';

/** A weight or buffer of a model, as the loader sees it. */
export interface ModelParameter {
  /** Detectron2's name. */
  name: string;
  /** Detectron2's layout: OIHW for convolutions, (out, in) for linear layers. */
  shape: number[];
  /** Takes the values in that layout. They may be a view of the file's bytes: copy, do not keep. */
  set(values: Float32Array): void;
}

/** What became of every tensor of a checkpoint and of every parameter of a model. */
export interface LoadReport {
  source: string;
  format: Checkpoint['format'];
  loaded: string[];
  /** Of the loaded: kernels and matrices, which our layout turns (OIHW to HWIO, (out, in) to (in, out)). */
  transposed: string[];
  /** Of the loaded: those whose shape differed in axes of length 1 only. */
  reshaped: { name: string; from: number[]; to: number[] }[];
  /** Parameters that keep their initial values, because `reinitialise` names them or files of this format never hold them. */
  reinitialised: string[];
  /** Tensors of the file that the model has no place for. */
  unused: string[];
  /** The same, but known to be of no use: pixel means, anchors, counters. */
  harmless: string[];
}

export interface LoadOptions {
  /** Beginnings of names (`roi_heads.box_predictor`, `backbone.fpn`) whose parameters keep their initial values. */
  reinitialise?: readonly string[];
}

const HARMLESS: readonly RegExp[] = [
  /(^|\.)pixel_(mean|std)$/,
  /(^|\.)cell_anchors(\.\d+)?$/,
  /(^|\.)num_batches_tracked$/,
  /^iteration$/,
  /^(optimizer|scheduler|ema_state|trainer)\./,
  /^loss_normalizer$/,
  /^stem\.fc\.(weight|bias)$|^linear\.(weight|bias)$/,
];

/**
 * Gives a model the tensors of a checkpoint by Detectron2's names. All is checked first, so a model is loaded whole or not touched.
 * Backbone files without a model around them (Caffe2, torchvision) also fit under `backbone.` and, for res5, `roi_heads.`.
 * @throws CheckpointError naming the tensor, both shapes and what to do: a parameter is missing or has another shape, a value is NaN or infinite, or most names differ.
 * @throws ArgumentError where a prefix in `reinitialise` fits no parameter.
 */
export function loadCheckpoint(
  checkpoint: Checkpoint,
  parameters: readonly ModelParameter[],
  options: LoadOptions = {},
): LoadReport {
  const { source, tensors } = checkpoint;
  const prefixes = checkPrefixes(options.reinitialise ?? [], parameters);
  const report: LoadReport = {
    source,
    format: checkpoint.format,
    loaded: [],
    transposed: [],
    reshaped: [],
    reinitialised: [],
    unused: [],
    harmless: [...checkpoint.ignored],
  };
  const used = new Set<string>();
  const pairs: { parameter: ModelParameter; values: Float32Array }[] = [];
  const missing: string[] = [];
  const misshapen: string[] = [];
  const assigned: { parameter: ModelParameter; stored: string }[] = [];
  for (const parameter of parameters) {
    const stored = storedName(parameter.name, checkpoint);
    if (stored !== undefined) used.add(stored);
    if (prefixes.some((prefix) => parameter.name.startsWith(prefix))) report.reinitialised.push(parameter.name);
    else if (stored === undefined) missing.push(parameter.name);
    else assigned.push({ parameter, stored });
  }
  failOnOtherArchitecture(checkpoint, parameters, missing, assigned.length);
  for (const { parameter, stored } of assigned) {
    const tensor = tensors.get(stored)!;
    if (!sameShape(tensor.shape, parameter.shape)) {
      if (!sameShape(withoutOnes(tensor.shape), withoutOnes(parameter.shape))) {
        misshapen.push(
          `'${parameter.name}' is ${shapeText(tensor.shape)} in the file and ${shapeText(parameter.shape)} in the model`,
        );
        continue;
      }
      report.reshaped.push({ name: parameter.name, from: tensor.shape, to: parameter.shape });
    }
    const values = tensor.toFloat32();
    failOnNonFinite(values, parameter.name, tensor.shape, source);
    pairs.push({ parameter, values });
  }
  failOnMismatch(checkpoint, missing, misshapen);
  for (const name of tensors.keys()) {
    if (!used.has(name)) (HARMLESS.some((pattern) => pattern.test(name)) ? report.harmless : report.unused).push(name);
  }
  failOnDeeperNetwork(
    source,
    report.unused.filter((name) => !prefixes.some((prefix) => name.startsWith(prefix))),
    parameters,
  );
  for (const { parameter, values } of pairs) {
    parameter.set(values);
    report.loaded.push(parameter.name);
    if (parameter.shape.length === 2 || parameter.shape.length === 4) report.transposed.push(parameter.name);
  }
  return report;
}

/** The tensor that a parameter of this name gets, under the file's own name or an alternative one. */
export function tensorFor(name: string, checkpoint: Checkpoint): TensorData | undefined {
  const stored = storedName(name, checkpoint);
  return stored === undefined ? undefined : checkpoint.tensors.get(stored);
}

function storedName(name: string, { tensors, format, metadata }: Checkpoint): string | undefined {
  if (tensors.has(name)) return name;
  const withoutModel = name.replace(/^backbone\.bottom_up\.|^backbone\.|^roi_heads\.(?=res5\.)/, '');
  if (withoutModel === name) return undefined;
  // Both kinds of file are a bare backbone, wherever a model puts it.
  if (format === 'caffe2-pkl' && tensors.has(`backbone.bottom_up.${withoutModel}`)) return `backbone.bottom_up.${withoutModel}`;
  if (metadata.matching_heuristics?.toLowerCase() === 'true' && tensors.has(withoutModel)) return withoutModel;
  return undefined;
}

function checkPrefixes(prefixes: readonly string[], parameters: readonly ModelParameter[]): readonly string[] {
  for (const prefix of prefixes) {
    if (parameters.some(({ name }) => name.startsWith(prefix))) continue;
    const parts = new Set(parameters.flatMap(({ name }) => name.split('.').map((_, i, all) => all.slice(0, i + 1).join('.'))));
    throw new ArgumentError(
      `reinitialise: no parameter of the model starts with '${prefix}'. Did you mean ${nearestNames(prefix, parts).join(', ')}?`,
    );
  }
  return prefixes;
}

function failOnOtherArchitecture(
  { source, tensors }: Checkpoint,
  parameters: readonly ModelParameter[],
  missing: string[],
  found: number,
): void {
  if (missing.length <= found || parameters.length === 0) return;
  const known = new Set(parameters.map(({ name }) => name));
  const strangers = [...tensors.keys()].filter((name) => !known.has(name));
  throw new CheckpointError(
    `${source}: looks like the weights of another architecture: of the ${found + missing.length} tensors that the model needs it has ${found}. ` +
      `Missing: ${some(missing)}. In the file, but not in the model: ${some(strangers)}. ` +
      'Give the configuration that these weights were made with, or name what may start afresh in `reinitialise`.',
  );
}

/** Weights of a deeper network hold all names of a shallower one, and may hold its shapes: the blocks left over give them away. */
function failOnDeeperNetwork(source: string, unused: string[], parameters: readonly ModelParameter[]): void {
  const known = new Set(parameters.map(({ name }) => withoutNumbers(name)));
  const further = unused.filter((name) => known.has(withoutNumbers(name)));
  if (further.length === 0) return;
  throw new CheckpointError(
    `${source}: looks like the weights of a deeper network: it has ${further.length} tensors of further layers that the model lacks: ${some(further)}. ` +
      'Give the configuration that these weights were made with (MODEL.RESNETS.DEPTH, NUM_CONV, NUM_FC).',
  );
}

/** The name with the numbers of blocks and of a head's layers left out; stages (res4) and pyramid levels (fpn_output4) keep theirs, since a model may well use fewer. */
function withoutNumbers(name: string): string {
  return name.replace(/\.\d+(?=\.)/g, '.#').replace(/(\.(?:mask_fcn|conv_fcn|conv|fc))\d+(?=\.)/g, '$1#');
}

function failOnMismatch({ source, tensors }: Checkpoint, missing: string[], misshapen: string[]): void {
  if (missing.length === 0 && misshapen.length === 0) return;
  const problems: string[] = [];
  if (misshapen.length > 0) problems.push(`${misshapen.length} with another shape: ${some(misshapen)}`);
  if (missing.length > 0)
    problems.push(
      `${missing.length} missing: ${some(missing.map((name) => `'${name}'`))} (nearest in the file: ${nearestNames(missing[0], tensors.keys(), 1).join('')})`,
    );
  const first = misshapen[0]?.split("'")[1] ?? missing[0];
  const head = first.split('.').slice(0, -1).join('.');
  throw new CheckpointError(
    `${source}: does not fit the model. Tensors ${problems.join('; ')}. ` +
      `Use the configuration that these weights were made with, or, to train this part afresh, name it for re-initialisation: reinitialise: ['${head}'].`,
  );
}

/** @throws CheckpointError that names the tensor and the element of the first NaN or infinity. */
export function failOnNonFinite(values: Float32Array, name: string, shape: number[], source: string): void {
  for (let i = 0; i < values.length; i++) {
    // The difference is NaN for NaN and for the infinities only.
    if (values[i] - values[i] === 0) continue;
    throw new CheckpointError(
      `${source}: tensor '${name}' ${shapeText(shape)} holds ${values[i]} at element ${i}. ` +
        'The training that wrote it diverged, or the file is damaged: use an earlier checkpoint or download it again.',
    );
  }
}

function some(names: string[], count = 5): string {
  return names.slice(0, count).join(', ') + (names.length > count ? ` and ${names.length - count} more` : '') || 'none';
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && elementCount(a) === elementCount(b) && a.every((n, axis) => n === b[axis]);
}

function withoutOnes(shape: readonly number[]): number[] {
  return shape.filter((n) => n !== 1);
}

function shapeText(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
