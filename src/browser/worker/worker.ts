/// <reference lib="webworker" />
// The other side of PredictorWorker. All devices are imported statically: bundlers put a worker into one file.
import * as tf from '@tensorflow/tfjs-core';
import { startCpu } from '../../backends/cpu.js';
import { startWasm } from '../devices/wasm.js';
import { startWebgl } from '../devices/webgl.js';
import { startWebgpu } from '../devices/webgpu.js';
import type { DeviceStarters } from '../devices/start_device.js';
import { Predictor } from '../predictor.js';
import { type Answer, type Request, toPlain } from './protocol.js';

const starters: DeviceStarters = { webgpu: startWebgpu, webgl: startWebgl, wasm: startWasm, cpu: startCpu };
const scope = self as unknown as DedicatedWorkerGlobalScope;
const aborts = new Map<number, AbortController>();
let predictor: Predictor | undefined;
/** One request at a time: two inferences at once would only share the device and add up their memory. */
let last: Promise<void> = Promise.resolve();

scope.addEventListener('message', ({ data: request }: MessageEvent<Request>) => {
  if (request.kind === 'abort') return aborts.get(request.id)?.abort();
  aborts.set(request.id, new AbortController());
  last = last.then(() => handle(request)).finally(() => aborts.delete(request.id));
});

async function handle(request: Exclude<Request, { kind: 'abort' }>): Promise<void> {
  try {
    const { signal } = aborts.get(request.id)!;
    signal.throwIfAborted();
    const [answer, transfer] = await answerTo(request, signal);
    scope.postMessage(answer, transfer);
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) };
    scope.postMessage({ id: request.id, kind: 'failed', name, message } satisfies Answer);
  }
}

async function answerTo(request: Exclude<Request, { kind: 'abort' }>, signal: AbortSignal): Promise<[Answer, Transferable[]]> {
  const { id } = request;
  switch (request.kind) {
    case 'load': {
      const onProgress = (received: number, total: number | undefined): void =>
        scope.postMessage({ id, kind: 'progress', received, total } satisfies Answer);
      predictor = await Predictor.loadWith(starters, request.source, { ...request.options, onProgress, signal });
      return [{ id, kind: 'loaded', info: { backend: predictor.backend, classNames: predictor.classNames } }, []];
    }
    case 'predict': {
      const { input, maxPixels } = request;
      try {
        const found = await predictor!.predict(input, { signal, ...(maxPixels === undefined ? {} : { maxPixels }) });
        const prediction = toPlain(found);
        const buffers = [prediction.image.data.buffer, prediction.masks?.probabilities.buffer];
        return [{ id, kind: 'predicted', prediction }, buffers.filter((buffer) => buffer instanceof ArrayBuffer)];
      } finally {
        if (typeof input === 'object' && 'close' in input) input.close();
      }
    }
    case 'warm up': {
      await predictor!.warmUp(request.size);
      return [{ id, kind: 'warm' }, []];
    }
    case 'memory': {
      const { numTensors, numBytes } = tf.memory();
      return [{ id, kind: 'memory', memory: { numTensors, numBytes } }, []];
    }
  }
}
