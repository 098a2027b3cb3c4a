import { type Device, type ModelFiles, type Prediction, publishedConfigNames } from '../../src/browser/index.js';
import { listInstances, markRow, save, say, showProgress, showTimes } from './panel.js';
import { Session, SHIPPED_MODEL } from './session.js';
import { element, Stage } from './stage.js';

const session = new Session();
const stage = new Stage(element('stage'));
const score = element<HTMLInputElement>('score');
const device = element<HTMLSelectElement>('device');
const modelChoice = element<HTMLSelectElement>('model');
const video = element<HTMLVideoElement>('video');
const cameraButton = element<HTMLButtonElement>('camera');

const SAMPLES: Record<string, URL> = {
  1: new URL('../images/emoji_1.jpg', import.meta.url),
  2: new URL('../images/emoji_2.jpg', import.meta.url),
};

let model: ModelFiles = SHIPPED_MODEL;
/** The picture on show, to be looked at again by another model or device. */
let picture: { file: Blob; name: string } | undefined;
let prediction: Prediction | undefined;
let visible: Prediction | undefined;
let stream: MediaStream | undefined;
let liveFrames = 0;
let liveSince = 0;

async function loadModel(): Promise<void> {
  say('Loading the model…');
  showProgress(NaN);
  element('device-info').textContent = '';
  try {
    const predictor = await session.start(model, device.value as Device, (received, total) => {
      if (total) showProgress(received / total);
    });
    if (!predictor) return;
    const { backend } = predictor;
    const skipped = backend.skipped.map((faster) => `Not ${faster.reason.replace(/^device /, '')}`).join(' ');
    element('device-info').textContent = `Runs on ${backend.description}. ${skipped}`;
    say('Ready. Drop a picture, or start the camera.');
    if (picture && !stream) await look(picture.file, picture.name);
  } catch (error) {
    fail(error);
  } finally {
    showProgress(undefined);
  }
}

async function look(file: Blob, name: string): Promise<void> {
  stopCamera();
  picture = { file, name };
  const { predictor } = session;
  if (!predictor) return;
  say('Looking…');
  try {
    const found = await predictor.predict(file);
    if (session.predictor !== predictor || picture.file !== file) return;
    const { numBytes } = await predictor.memory();
    present(found, [['Device memory', `${(numBytes / 2 ** 20).toFixed(1)} MiB`]]);
    say(`${visible!.length} found in ${name}.`);
  } catch (error) {
    if (session.predictor === predictor) fail(error);
  }
}

function present(found: Prediction, more: readonly [string, string][]): void {
  prediction = found;
  redraw();
  showTimes(found.times, more);
  for (const id of ['save-png', 'save-json']) element<HTMLButtonElement>(id).disabled = false;
}

/** Applies the least score to what was found before: no new inference. */
function redraw(): void {
  element('score-value').textContent = `${score.value} %`;
  if (!prediction) return;
  visible = prediction.filter((instance) => instance.score * 100 >= Number(score.value));
  stage.show(visible);
  listInstances(visible.instances, (instance) => stage.activate(instance));
}

function fail(error: unknown): void {
  say(error instanceof Error ? error.message : String(error), true);
}

async function startCamera(): Promise<void> {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment', width: { ideal: 640 } } });
  } catch (error) {
    return fail(new Error(`The camera cannot be used: ${error instanceof Error ? error.message : String(error)}.`));
  }
  video.srcObject = stream;
  await video.play();
  cameraButton.textContent = 'Stop camera';
  cameraButton.setAttribute('aria-pressed', 'true');
  picture = undefined;
  liveFrames = 0;
  session.dropped = 0;
  liveSince = performance.now();
  say('The camera runs.');
  video.requestVideoFrameCallback(onFrame);
}

function onFrame(): void {
  if (!stream) return;
  video.requestVideoFrameCallback(onFrame);
  const current = stream;
  session
    .predictLive(video)
    .then((found) => {
      if (!found || stream !== current) return;
      liveFrames++;
      const rate = (liveFrames * 1000) / (performance.now() - liveSince);
      present(found, [
        ['Pictures a second', rate.toFixed(1)],
        ['Dropped', String(session.dropped)],
      ]);
    })
    .catch((error: unknown) => {
      if (stream !== current || !session.predictor) return;
      stopCamera();
      fail(error);
    });
}

function stopCamera(): void {
  stream?.getTracks().forEach((track) => track.stop());
  stream = undefined;
  video.srcObject = null;
  cameraButton.textContent = 'Start camera';
  cameraButton.setAttribute('aria-pressed', 'false');
}

function openChooser(): void {
  element<HTMLInputElement>('file').click();
}

function setUpPictures(): void {
  const input = element<HTMLInputElement>('file');
  input.addEventListener('change', () => {
    const file = input.files?.[0];
    if (file) void look(file, file.name);
    input.value = '';
  });
  element('open').addEventListener('click', openChooser);
  element('choose').addEventListener('click', openChooser);
  for (const button of document.querySelectorAll<HTMLButtonElement>('.sample')) {
    const url = SAMPLES[button.dataset.sample!];
    button.querySelector('img')!.src = url.href;
    button.addEventListener('click', async () => void look(await (await fetch(url)).blob(), `sample ${button.dataset.sample}`));
  }
  const container = element('stage');
  // A drop beside the stage would make the browser leave the page.
  for (const type of ['dragover', 'drop']) addEventListener(type, (event) => event.preventDefault());
  container.addEventListener('dragenter', () => container.classList.add('over'));
  container.addEventListener('dragleave', (event) => {
    if (!container.contains(event.relatedTarget as Node | null)) container.classList.remove('over');
  });
  container.addEventListener('drop', (event) => {
    container.classList.remove('over');
    takeFile(event.dataTransfer?.files);
  });
  document.addEventListener('paste', (event) => takeFile(event.clipboardData?.files));
}

function takeFile(files: FileList | undefined): void {
  const file = files?.[0];
  if (file) void look(file, file.name);
}

function setUpModels(): void {
  const disk = element<HTMLFormElement>('disk');
  const config = element<HTMLSelectElement>('config');
  const yaml = element<HTMLInputElement>('yaml');
  config.append(...publishedConfigNames().map((name) => new Option(name, name)), new Option('A .yaml file…', ''));
  config.value = 'COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x';
  config.addEventListener('change', () => {
    element('yaml-field').hidden = config.value !== '';
    yaml.required = config.value === '';
  });
  modelChoice.addEventListener('change', () => {
    disk.hidden = modelChoice.value !== 'disk';
    if (modelChoice.value === 'shipped') void ((model = SHIPPED_MODEL), loadModel());
  });
  disk.addEventListener('submit', (event) => {
    event.preventDefault();
    const weights = element<HTMLInputElement>('weights').files![0];
    model = { config: config.value || yaml.files![0], weights };
    void loadModel();
  });
  device.addEventListener('change', () => void loadModel());
}

function setUpResults(): void {
  score.addEventListener('input', redraw);
  stage.onActive = (instance) => markRow(instance && visible ? visible.instances.indexOf(instance) : -1);
  element('save-png').addEventListener('click', async () => save(await visible!.draw().toBlob(), 'instances.png'));
  element('save-json').addEventListener('click', () => {
    const rows = visible!.toCoco({ imageId: 1 });
    save(new Blob([JSON.stringify(rows)], { type: 'application/json' }), 'instances.json');
  });
  cameraButton.addEventListener('click', () => (stream ? stopCamera() : void startCamera()));
  listInstances([], () => undefined);
  showTimes(undefined);
}

setUpPictures();
setUpModels();
setUpResults();
redraw();
void loadModel();
