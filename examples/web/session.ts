import { type Device, type ModelFiles, type Prediction, PredictorWorker } from '../../src/browser/index.js';

/** The small model of the package, as the bundler serves it. */
export const SHIPPED_MODEL: ModelFiles = {
  config: new URL('../../weights/emoji/config.yaml', import.meta.url),
  weights: new URL('../../weights/emoji/model.safetensors', import.meta.url),
};

/** The model and device in use: at most one worker lives, and changing either ends it with everything it held. */
export class Session {
  private current: PredictorWorker | undefined;
  private loading: AbortController | undefined;
  /** Whether a model is on its way. */
  isLoading = false;
  /** Live pictures that came while another was being worked on. */
  dropped = 0;

  /** @returns the running predictor, or undefined where a later call took over */
  async start(
    model: ModelFiles,
    device: Device,
    onProgress: (received: number, total: number | undefined) => void,
  ): Promise<PredictorWorker | undefined> {
    this.stop();
    const loading = (this.loading = new AbortController());
    this.isLoading = true;
    const predictor = await PredictorWorker.load(model, { device, onProgress, signal: loading.signal }).catch(
      (error: unknown) => {
        if (loading.signal.aborted) return undefined;
        this.isLoading = false;
        throw error;
      },
    );
    if (loading.signal.aborted) {
      predictor?.dispose();
      return undefined;
    }
    this.isLoading = false;
    this.current = predictor;
    return predictor;
  }

  get predictor(): PredictorWorker | undefined {
    return this.current;
  }

  /** Works on a live picture, unless another one is being worked on: then this one is dropped, never queued. */
  async predictLive(video: HTMLVideoElement): Promise<Prediction | undefined> {
    if (!this.current) return undefined;
    if (this.current.busy) {
      this.dropped++;
      return undefined;
    }
    return this.current.predict(video);
  }

  stop(): void {
    this.loading?.abort();
    this.current?.dispose();
    this.current = undefined;
  }
}
