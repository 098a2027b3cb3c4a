import type { BackendInfo } from '../../backends/device.js';
import { publishedName } from '../../config/published.js';
import type { PredictOptions } from '../../engine/predictor_core.js';
import { BackendError } from '../../errors.js';
import { type ImageInput, transferableInput } from '../image_input.js';
import type { FileSource, ModelSource } from '../load_model.js';
import { Prediction } from '../prediction.js';
import type { PredictorOptions } from '../predictor.js';
import { type Answer, type DeviceMemory, fromPlain, type LoadedInfo, type Request, revive } from './protocol.js';

type RequestBody = Request extends infer R ? (R extends { id: number } ? Omit<R, 'id'> : never) : never;

interface Pending {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  onProgress: PredictorOptions['onProgress'];
}

/**
 * A predictor in a Web Worker: decoding, inference and post-processing leave the page's thread free.
 * Pictures and results cross by transfer. `ImageBitmap` and `VideoFrame` inputs are handed over and closed; give a clone to keep one.
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
  private ended: Error | undefined;
  private info!: LoadedInfo;

  private constructor(private readonly worker: Worker) {
    worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => this.receive(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.end(
        new BackendError(
          `The worker ended: ${event.message || 'its script could not be loaded'}. Dispose of this predictor and load a new one.`,
        ),
      );
    });
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

  get classNames(): readonly string[] {
    return this.info.classNames;
  }

  /** Whether a picture is being worked on: who shows live pictures drops frames while it is true. */
  get busy(): boolean {
    return this.pending.size > 0;
  }

  /** @returns the instances of one picture, best first, in the frame of the picture */
  async predict(input: ImageInput, options: PredictOptions = {}): Promise<Prediction> {
    options.signal?.throwIfAborted();
    const ready = await transferableInput(input);
    const answer = await this.request(
      { kind: 'predict', input: ready.input, maxPixels: options.maxPixels },
      ready.transfer,
      options.signal ? { signal: options.signal } : {},
    );
    const { prediction } = answer as Extract<Answer, { kind: 'predicted' }>;
    const { image, times, pixels } = prediction;
    const instances = fromPlain(prediction);
    return new Prediction(instances, image, times, pixels.panoptic ? { ...pixels, things: instances } : pixels);
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

  private request(
    body: RequestBody,
    transfer: Transferable[],
    options: { signal?: AbortSignal; onProgress?: PredictorOptions['onProgress'] },
  ): Promise<Answer> {
    if (this.ended) return Promise.reject(this.ended);
    const { signal, onProgress } = options;
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.worker.postMessage({ id, kind: 'abort' } satisfies Request);
        settle();
        reject(signal!.reason);
      };
      const settle = (): void => {
        this.pending.delete(id);
        signal?.removeEventListener('abort', onAbort);
      };
      signal?.addEventListener('abort', onAbort);
      this.pending.set(id, {
        resolve: (answer) => (settle(), resolve(answer)),
        reject: (error) => (settle(), reject(error)),
        onProgress,
      });
      this.worker.postMessage({ ...body, id }, transfer);
    });
  }

  private receive(answer: Answer): void {
    const pending = this.pending.get(answer.id);
    if (!pending) return;
    if (answer.kind === 'progress') pending.onProgress?.(answer.received, answer.total);
    else if (answer.kind === 'failed') pending.reject(revive(answer.name, answer.message));
    else pending.resolve(answer);
  }

  private end(reason: Error): void {
    if (this.ended) return;
    this.ended = reason;
    this.worker.terminate();
    for (const { reject } of [...this.pending.values()]) reject(reason);
  }
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
