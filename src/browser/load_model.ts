import { parseCheckpoint } from '../checkpoint/parse.js';
import { parseConfig, type LoadedConfig } from '../config/config_text.js';
import { applyOverrides } from '../config/overrides.js';
import { publishedConfigNames, publishedName } from '../config/published.js';
import { publishedConfig } from '../config/published_config.js';
import type { Config } from '../config/schema.js';
import { assembleModel, type LoadedModel } from '../engine/assemble_model.js';
import { CheckpointError, ConfigError } from '../errors.js';
import { nearestNames } from '../nearest_names.js';

/** A file: its address (absolute, or relative to the page), a `File` or `Blob`, or its bytes. */
export type FileSource = string | URL | Blob | ArrayBuffer | Uint8Array;

/** A config (the name of a published one, a YAML file, or the tree itself) and a weight file: safetensors, `.pkl` or `.pth`. */
export interface ModelFiles {
  readonly config: FileSource | Config;
  readonly weights: FileSource;
}

/** The address of a folder with `config.yaml` and `model.safetensors`, or both files by themselves. */
export type ModelSource = string | URL | ModelFiles;

export interface LoadModelOptions {
  /** `KEY=VALUE` over the config, as on the command line. */
  readonly overrides?: readonly string[];
  /** Sees how much of the weights is there. */
  readonly onProgress?: (received: number, total: number | undefined) => void;
  /** Stops a download. */
  readonly signal?: AbortSignal;
}

/** Fetches, reads and checks a model's files, builds it on the running backend and gives it its weights. */
export async function loadModel(source: ModelSource, options: LoadModelOptions = {}): Promise<LoadedModel> {
  const files = filesOf(source);
  const config = await readConfig(files.config, options);
  const { bytes, name } = await readFile(files.weights, 'weights', options);
  return assembleModel(parseCheckpoint(bytes, name), config);
}

function filesOf(source: ModelSource): ModelFiles {
  if (typeof source === 'object' && 'weights' in source) return source;
  const text = String(source);
  if (publishedName(text)) {
    throw new CheckpointError(
      `'${text}' is the name of a published model; in a browser the weights come with the page: { config: '${text}', weights: file or address }.`,
    );
  }
  const folder = text.endsWith('/') ? text : `${text}/`;
  return { config: `${folder}config.yaml`, weights: `${folder}model.safetensors` };
}

async function readConfig(source: FileSource | Config, options: LoadModelOptions): Promise<Config> {
  const overrides = options.overrides ?? [];
  return (await loadConfig(source, overrides, options)).config;
}

async function loadConfig(
  source: FileSource | Config,
  overrides: readonly string[],
  options: LoadModelOptions,
): Promise<LoadedConfig> {
  if (isConfig(source)) {
    const loaded: LoadedConfig = { config: structuredClone(source), warnings: [] };
    applyOverrides(loaded.config, overrides, loaded.warnings);
    return loaded;
  }
  if (typeof source === 'string') {
    const name = publishedName(source);
    if (name) return publishedConfig(name, overrides);
    if (!/\.ya?ml$/i.test(source) && !/^[a-z]+:/i.test(source))
      throw new ConfigError(
        `'${source}' is neither a published configuration nor the address of a .yaml file; nearest names: ${nearestNames(source, publishedConfigNames()).join(', ')}.`,
      );
  }
  const { signal } = options;
  const { bytes, name } = await readFile(source, 'configuration', signal ? { signal } : {});
  return parseConfig(new TextDecoder().decode(bytes), name, overrides);
}

function isConfig(source: FileSource | Config): source is Config {
  return typeof source === 'object' && 'MODEL' in source;
}

async function readFile(
  source: FileSource,
  what: 'weights' | 'configuration',
  { onProgress, signal }: LoadModelOptions,
): Promise<{ bytes: Uint8Array; name: string }> {
  if (source instanceof Uint8Array) return { bytes: source, name: `${what} (${source.byteLength} bytes)` };
  if (source instanceof ArrayBuffer) return { bytes: new Uint8Array(source), name: `${what} (${source.byteLength} bytes)` };
  if (source instanceof Blob) {
    const name = 'name' in source && typeof source.name === 'string' ? source.name : `${what} (${source.size} bytes)`;
    const bytes = new Uint8Array(
      await source.arrayBuffer().catch((cause: unknown) => {
        throw new CheckpointError(`${name}: cannot be read: ${String(cause)}. Choose the file again.`, { cause });
      }),
    );
    onProgress?.(bytes.byteLength, bytes.byteLength);
    return { bytes, name };
  }
  const url = String(source);
  const Failure = what === 'weights' ? CheckpointError : ConfigError;
  const response = await fetch(url, signal ? { signal } : {}).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new Failure(`${url}: the ${what} could not be fetched. Check the address, the network and CORS.`, { cause });
  });
  if (!response.ok)
    throw new Failure(`${url}: the server answered ${response.status} ${response.statusText}; expected the ${what}.`);
  if (/text\/html/i.test(response.headers.get('content-type') ?? ''))
    throw new Failure(
      `${url}: a web page came instead of the ${what}; the address is wrong, or the server answers unknown ones with its page.`,
    );
  return { bytes: await readBody(response, onProgress), name: url };
}

async function readBody(response: Response, onProgress: LoadModelOptions['onProgress']): Promise<Uint8Array> {
  if (!onProgress || !response.body) return new Uint8Array(await response.arrayBuffer());
  const length = response.headers.get('content-length');
  const total = length && !response.headers.get('content-encoding') ? Number(length) : undefined;
  const chunks: Uint8Array[] = [];
  let received = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    chunks.push(part.value);
    received += part.value.byteLength;
    onProgress(received, total);
  }
  const bytes = new Uint8Array(received);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
