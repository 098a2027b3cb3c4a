import {
  BackendError,
  type Device,
  ImageError,
  type ModelFiles,
  type Prediction,
  publishedConfigNames,
} from '../../src/browser/index.js';
import { Camera } from './camera.js';
import { InstanceList } from './instance_list.js';
import { save, say, showDevice, showProgress, showTimes } from './panel.js';
import { Session, SHIPPED_MODEL } from './session.js';
import { element, Stage } from './stage.js';

const session = new Session();
const stage = new Stage(element('stage'));
const rows = new InstanceList(element('found'), element('found-title'));
const camera = new Camera(element<HTMLVideoElement>('video'));
const score = element<HTMLInputElement>('score');
const device = element<HTMLSelectElement>('device');
const modelChoice = element<HTMLSelectElement>('model');
const retry = element<HTMLButtonElement>('retry');
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
let liveFrames = 0;
let liveSince = 0;

async function loadModel(): Promise<void> {
  say('Loading the model…');
  showProgress(NaN);
  showDevice(undefined);
  retry.hidden = true;
  try {
    const predictor = await session.start(model, device.value as Device, (received, total) => {
      if (total) showProgress(received / total);
    });
    if (!predictor) return;
    showProgress(undefined);
    showDevice(predictor.backend);
    say(camera.running ? 'The camera runs.' : 'Ready. Drop a picture, or start the camera.');
    if (picture && !camera.running) await look(picture.file, picture.name);
  } catch (error) {
    showProgress(undefined);
    fail(error);
    offerRetry();
  }
}

/** After a failure: another try, with the device that surely works where one was named. */
function offerRetry(): void {
  retry.textContent = device.value === 'auto' ? 'Try again' : 'Take the automatic device';
  retry.hidden = false;
}

async function look(file: Blob, name: string): Promise<void> {
  camera.stop();
  picture = { file, name };
  const { predictor } = session;
  if (!predictor) {
    if (session.isLoading) say('The picture waits for the model…');
    else fail(new Error('There is no model to look with. Choose another device or model, or try again.'));
    return;
  }
  say('Looking…');
  try {
    const found = await predictor.predict(file);
    if (session.predictor !== predictor || picture?.file !== file) return;
    const { numBytes } = await predictor.memory();
    present(found, [['Device memory', `${(numBytes / 2 ** 20).toFixed(1)} MiB`]]);
    say(`${visible!.length} found in ${name}.`);
  } catch (error) {
    if (session.predictor !== predictor || picture?.file !== file) return;
    fail(error);
    // A file that is no picture is none for the next device either; a device that broke is left.
    if (error instanceof ImageError) picture = undefined;
    else if (error instanceof BackendError) {
      session.stop();
      offerRetry();
    }
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
  rows.show(visible.instances);
}

function fail(error: unknown): void {
  say(error instanceof Error ? error.message : String(error), true);
}

function onFrame(): void {
  const { predictor } = session;
  session
    .predictLive(camera.video)
    .then((found) => {
      if (!found || !camera.running) return;
      liveFrames++;
      const rate = (liveFrames * 1000) / (performance.now() - liveSince);
      present(found, [
        ['Pictures a second', rate.toFixed(1)],
        ['Dropped', String(session.dropped)],
      ]);
    })
    .catch((error: unknown) => {
      if (!camera.running || session.predictor !== predictor) return;
      camera.stop();
      session.stop();
      fail(error);
      offerRetry();
    });
}

function setUpCamera(): void {
  camera.onFrame = onFrame;
  camera.onChange = (running, lost) => {
    cameraButton.textContent = running ? 'Stop camera' : 'Start camera';
    cameraButton.setAttribute('aria-pressed', String(running));
    if (running) {
      picture = undefined;
      liveFrames = session.dropped = 0;
      liveSince = performance.now();
    }
    if (lost) fail(new Error('The camera is gone. Connect it and start again.'));
    else if (session.predictor) say(running ? 'The camera runs.' : 'The camera is off.');
  };
  cameraButton.addEventListener('click', () => (camera.running ? camera.stop() : void camera.start().catch(fail)));
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
    button.addEventListener('click', () => {
      const name = `sample ${button.dataset.sample}`;
      void fetch(url).then(async (response) => look(await response.blob(), name), fail);
    });
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
  retry.addEventListener('click', () => {
    device.value = 'auto';
    void loadModel();
  });
}

function setUpResults(): void {
  score.addEventListener('input', redraw);
  stage.onActive = (instance) => rows.mark(instance);
  rows.onActive = (instance) => stage.activate(instance);
  element('save-png').addEventListener('click', async () => save(await visible!.draw().toBlob(), 'instances.png'));
  element('save-json').addEventListener('click', () => {
    const rows = visible!.toCoco({ imageId: 1 });
    save(new Blob([JSON.stringify(rows)], { type: 'application/json' }), 'instances.json');
  });
  showTimes(undefined);
}

setUpPictures();
setUpCamera();
setUpModels();
setUpResults();
redraw();
void loadModel();
