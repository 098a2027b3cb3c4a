/** The camera, and which of its pictures to look at. At most one stream runs; stopping it gives the camera back at once. */
export class Camera {
  private stream: MediaStream | undefined;
  /** Counts starts and stops: what a start waited for may come when it is no longer wanted. */
  private turn = 0;
  private asking = false;
  /** Hears of every picture that the camera shows. */
  onFrame: () => void = () => undefined;
  /** Hears when the camera starts, stops, or is taken away. */
  onChange: (running: boolean, lost: boolean) => void = () => undefined;

  constructor(readonly video: HTMLVideoElement) {}

  get running(): boolean {
    return this.stream !== undefined;
  }

  /** Starts the camera, or does nothing while it runs or is being asked for. @throws Error in words for the user */
  async start(): Promise<void> {
    if (this.stream || this.asking) return;
    const turn = ++this.turn;
    this.asking = true;
    let stream: MediaStream | undefined;
    try {
      stream = await askForCamera();
      if (turn !== this.turn) return endStream(stream);
      this.video.srcObject = stream;
      await this.video.play();
      if (turn !== this.turn) return endStream(stream);
    } catch (error) {
      endStream(stream);
      this.video.srcObject = null;
      if (turn === this.turn) throw new Error(`The camera cannot be used: ${reasonOf(error)}`, { cause: error });
      return;
    } finally {
      this.asking = false;
    }
    this.stream = stream;
    stream.getVideoTracks()[0]?.addEventListener('ended', () => this.stop(true));
    this.onChange(true, false);
    this.waitForFrame(stream);
  }

  /** @param lost whether the camera went away by itself */
  stop(lost = false): void {
    this.turn++;
    endStream(this.stream);
    this.video.srcObject = null;
    const ran = this.stream !== undefined;
    this.stream = undefined;
    if (ran) this.onChange(false, lost);
  }

  private waitForFrame(stream: MediaStream): void {
    const next = (): void => {
      if (this.stream !== stream) return;
      this.waitForFrame(stream);
      this.onFrame();
    };
    if ('requestVideoFrameCallback' in this.video) this.video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }
}

function askForCamera(): Promise<MediaStream> {
  // Pages without a secure address, and old browsers, have no devices at all.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices?.getUserMedia) throw new Error('this browser gives it only to pages from https:// or http://localhost');
  return devices.getUserMedia({ video: { facingMode: 'environment', width: { ideal: 640 } } });
}

function endStream(stream: MediaStream | undefined): void {
  stream?.getTracks().forEach((track) => track.stop());
}

function reasonOf(error: unknown): string {
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
  if (name === 'NotAllowedError') return 'the permission was not given. Allow it in the address bar and start again.';
  if (name === 'NotFoundError') return 'there is none.';
  return message.endsWith('.') ? message : `${message}.`;
}
