import type { BackendInfo } from '../../backends/device.js';
import { publishedName } from '../../config/published.js';
import type { Config } from '../../config/schema.js';
import type { LoadReport } from '../../checkpoint/load.js';
import type { GivenBox } from '../../engine/given_boxes.js';
import type { PredictOptions } from '../../engine/predictor_core.js';
import { BackendError } from '../../errors.js';
import { closeAll, type ImageInput, type TransferableInput, transferableInput } from '../image_input.js';
import type { FileSource, ModelSource } from '../load_model.js';
import { Prediction } from '../prediction.js';
import type { PredictorOptions } from '../predictor.js';
import {
  type Answer,
  type DeviceMemory,
  fromPlain,
  type LoadedInfo,
  type PlainPrediction,
  type Request,
  revive,
} from './protocol.js';

type RequestBody = Request extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

interface Pending {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  onProgress: PredictorOptions['onProgress'];
}

/**
 * A predictor in a Web Worker: decoding, inference and post-processing leave the page's thread free.
 * Pictures and results cross by transfer. `ImageBitmap` and `VideoFrame` inputs are handed over and closed, whatever comes of them; give a clone to keep
 * one. It has what `Predictor` has but for `features`, whose tensors cannot leave their thread.
 *
 * @example
 * ```ts
 * const predictor = await PredictorWorker.load('/models/shapes/', { device: 'auto' });
 * const result = await predictor.predict(video);
 * ```
 */
export class PredictorWorker {
  private readonly pending = new Map<number, Pending>();
  private nextId = 0;
  private atWork = 0;
  private ended: Error | undefined;
  private info!: LoadedInfo;

  private constructor(private readonly worker: Worker) {
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => this.receive(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.fail(event.message || 'its script could not be loaded');
    });
    worker.addEventListener('messageerror', () => this.fail('an answer could not be read'));
  }

  /**
   * Starts a worker, the device in it, and loads the model there.
   * @param source the address of a folder with `config.yaml` and `model.safetensors`, or `{ config, weights }`
   * @throws BackendError, ConfigError, CheckpointError
   */
  static async load(source: ModelSource, options: PredictorOptions = {}): Promise<PredictorWorker> {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'maskrcnn' });
    const predictor = new PredictorWorker(worker);
    const { onProgress, signal, ...rest } = options;
    try {
      const answer = await predictor.request({ kind: 'load', source: absolute(source), options: rest }, [], {
        ...(signal ? { signal } : {}),
        ...(onProgress ? { onProgress } : {}),
      });
      predictor.info = (answer as Extract<Answer, { kind: 'loaded' }>).info;
      return predictor;
    } catch (error) {
      predictor.dispose();
      throw error;
    }
  }

  /** The device that runs, and why faster ones do not. */
  get backend(): BackendInfo {
    return this.info.backend;
  }

  get device(): BackendInfo['device'] {
    return this.info.backend.device;
  }

  get config(): Config {
    return this.info.config;
  }

  get classNames(): readonly string[] {
    return this.info.classNames;
  }

  /** By number; empty for models without keypoints. */
  get keypointNames(): readonly string[] {
    return this.info.keypointNames;
  }

  /** By semantic class, the first is all things; empty for models without a semantic branch. */
  get semanticClassNames(): readonly string[] {
    return this.info.semanticClassNames;
  }

  /** What became of every tensor of the weight file. */
  get loadReport(): LoadReport {
    return this.info.loadReport;
  }

  /** Whether something is being worked on, from the call on: who shows live pictures drops frames while it is true. */
  get busy(): boolean {
    return this.atWork > 0;
  }

  /** @returns the instances of one picture, best first, in the frame of the picture */
  async predict(input: ImageInput, options?: PredictOptions): Promise<Prediction>;
  /** @returns the instances of several pictures, computed as one batch */
  async predict(input: readonly ImageInput[], options?: PredictOptions): Promise<Prediction[]>;
  async predict(input: ImageInput | readonly ImageInput[], options: PredictOptions = {}): Promise<Prediction | Prediction[]> {
    if (Array.isArray(input)) return this.predictBatch(input as readonly ImageInput[], options);
    return (await this.predictBatch([input as ImageInput], options))[0];
  }

  /** As `Predictor.predictGiven`: masks, keypoints and classes for boxes that the caller gives. */
  async predictGiven(input: ImageInput, given: readonly GivenBox[], options: PredictOptions = {}): Promise<Prediction> {
    const body = { kind: 'predict given', given: [...given], maxPixels: options.maxPixels } as const;
    return (await this.requestOn([input], ([ready]) => ({ ...body, input: ready }), options))[0];
  }

  /** As `Predictor.warmUp`. */
  async warmUp(size?: { height: number; width: number }): Promise<void> {
    await this.request({ kind: 'warm up', size }, [], {});
  }

  /** What the worker's device holds. */
  async memory(): Promise<DeviceMemory> {
    return ((await this.request({ kind: 'memory' }, [], {})) as Extract<Answer, { kind: 'memory' }>).memory;
  }

  /** Ends the worker: everything that it held, on the device too, is free. */
  dispose(): void {
    this.end(new BackendError('This predictor was disposed. Load a new one with PredictorWorker.load().'));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private predictBatch(inputs: readonly ImageInput[], options: PredictOptions): Promise<Prediction[]> {
    return this.requestOn(inputs, (ready) => ({ kind: 'predict', inputs: ready, maxPixels: options.maxPixels }), options);
  }

  /** Hands pictures over, with what is asked about them. */
  private async requestOn(
    inputs: readonly ImageInput[],
    bodyOf: (ready: ImageInput[]) => RequestBody,
    { signal }: PredictOptions,
  ): Promise<Prediction[]> {
    this.atWork++;
    const made: unknown[] = [...inputs];
    try {
      signal?.throwIfAborted();
      const ready: TransferableInput[] = [];
      for (const input of inputs) {
        ready.push(await transferableInput(input));
        made.push(ready.at(-1)!.input);
      }
      const transfer = [...new Set(ready.flatMap((it) => it.transfer))];
      const answer = await this.request(bodyOf(ready.map((it) => it.input)), transfer, signal ? { signal } : {});
      return (answer as Extract<Answer, { kind: 'predicted' }>).predictions.map(predictionOf);
    } finally {
      closeAll(made);
      this.atWork--;
    }
  }

  private async request(
    body: RequestBody,
    transfer: Transferable[],
    options: { signal?: AbortSignal; onProgress?: PredictorOptions['onProgress'] },
  ): Promise<Answer> {
    if (this.ended) throw this.ended;
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    const id = this.nextId++;
    const onAbort = (): void => {
      this.worker.postMessage({ id, kind: 'abort' } satisfies Request);
      this.pending.get(id)?.reject(signal!.reason as Error);
    };
    this.atWork++;
    try {
      return await new Promise((resolve, reject) => {
        signal?.addEventListener('abort', onAbort);
        this.pending.set(id, { resolve, reject, onProgress });
        this.worker.postMessage({ ...body, id }, transfer);
      });
    } finally {
      this.pending.delete(id);
      signal?.removeEventListener('abort', onAbort);
      this.atWork--;
    }
  }

  private receive(answer: Answer): void {
    const pending = this.pending.get(answer.id);
    if (!pending) return;
    if (answer.kind === 'progress') pending.onProgress?.(answer.received, answer.total);
    else if (answer.kind === 'failed') pending.reject(revive(answer.name, answer.message));
    else pending.resolve(answer);
  }

  private fail(cause: string): void {
    this.end(new BackendError(`The worker ended: ${cause}. Dispose of this predictor and load a new one.`));
  }

  private end(reason: Error): void {
    if (this.ended) return;
    this.ended = reason;
    this.worker.terminate();
    for (const { reject } of [...this.pending.values()]) reject(reason);
  }
}

/** What a worker found, with the methods that do not cross. */
function predictionOf(plain: PlainPrediction): Prediction {
  const { image, times, pixels } = plain;
  const instances = fromPlain(plain);
  return new Prediction(instances, image, times, pixels.panoptic ? { ...pixels, things: instances } : pixels);
}

/** Addresses are relative to the page; the worker's own address is another one. */
function absolute(source: ModelSource): ModelSource {
  const against = (file: FileSource): FileSource =>
    file instanceof URL ? file.href : typeof file === 'string' && isAddress(file) ? new URL(file, location.href).href : file;
  if (source instanceof URL) return source.href;
  if (typeof source === 'string') return isAddress(source) ? new URL(source, location.href).href : source;
  const { config, weights } = source;
  return {
    config: typeof config === 'object' && 'MODEL' in config ? config : against(config),
    weights: against(weights),
  };
}

function isAddress(text: string): boolean {
  return publishedName(text) === undefined;
}
