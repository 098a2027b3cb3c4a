/// <reference lib="webworker" />
// The other side of PredictorWorker. All devices are imported statically: bundlers put a worker into one file.
import * as tf from '@tensorflow/tfjs-core';
import { startCpu } from '../../backends/cpu.js';
import { startWasm } from '../devices/wasm.js';
import { startWebgl } from '../devices/webgl.js';
import { startWebgpu } from '../devices/webgpu.js';
import { closeAll, type ImageInput } from '../image_input.js';
import type { DeviceStarters } from '../devices/start_device.js';
import { Predictor } from '../predictor.js';
import type { Prediction } from '../prediction.js';
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

// Nobody knows which request it was: the page hears of the error and ends this worker.
scope.addEventListener('messageerror', () => {
  throw new Error('a request could not be read');
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
      const { backend, config, classNames, keypointNames, semanticClassNames, loadReport } = predictor;
      return [{ id, kind: 'loaded', info: { backend, config, classNames, keypointNames, semanticClassNames, loadReport } }, []];
    }
    case 'predict': {
      const { inputs, maxPixels } = request;
      return predicted(id, inputs, () =>
        predictor!.predict(inputs, { signal, ...(maxPixels === undefined ? {} : { maxPixels }) }),
      );
    }
    case 'predict given': {
      const { input, given, maxPixels } = request;
      const options = { signal, ...(maxPixels === undefined ? {} : { maxPixels }) };
      return predicted(id, [input], async () => [await predictor!.predictGiven(input, given, options)]);
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

/** The answer to pictures, whose frames are closed whatever comes of them. */
async function predicted(
  id: number,
  inputs: readonly ImageInput[],
  run: () => Promise<Prediction[]>,
): Promise<[Answer, Transferable[]]> {
  try {
    const predictions = (await run()).map(toPlain);
    const buffers = predictions.flatMap(({ image, masks }) => [image.data.buffer, masks?.probabilities.buffer]);
    return [{ id, kind: 'predicted', predictions }, [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer)];
  } finally {
    closeAll(inputs);
  }
}
