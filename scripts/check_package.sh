#!/usr/bin/env bash
# Packs the package, installs it into an empty folder with its peers, and predicts with the installed command, as a user would, and in a page that Vite bundles
# without configuration.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tarball=$folder/$(cd "$root" && npm pack --silent --ignore-scripts --pack-destination "$folder")
mkdir "$folder/user"
cd "$folder/user"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund "$tarball" \
  @tensorflow/tfjs-core@^4.22.0 @tensorflow/tfjs-layers@^4.22.0 @tensorflow/tfjs-backend-cpu@^4.22.0 @tensorflow/tfjs-backend-wasm@^4.22.0
npx --no-install maskrcnn predict "$root/examples/images/emoji_1.jpg" --device wasm --output out
test -s out/emoji_1.png
cat >user.mjs <<'JS'
import { CocoEvaluator, loadCocoJson, modelZoo, Predictor, Visualizer } from 'maskrcnn-ts';
for (const part of [CocoEvaluator, loadCocoJson, modelZoo.zooModels, Predictor, Visualizer]) if (!part) throw new Error('an export is missing');
JS
node user.mjs
# A part of the user's own against the package alone: a mask head and heads on regions, built, learning and predicting.
cat >own_parts.mjs <<'JS'
import * as tf from '@tensorflow/tfjs-core';
import { getConfig, startBackend } from 'maskrcnn-ts';
import { Conv2d, GeneralizedRcnn, maskHeads, Module, roiHeads, StandardRoiHeads, upsampleBilinear } from 'maskrcnn-ts/registry';
await startBackend('wasm');
class OwnMask extends Module {
  constructor(inChannels, outChannels) {
    super();
    this.conv = this.child('only', new Conv2d({ inChannels, outChannels, kernelSize: 1 }));
  }
  forward(regions) {
    return tf.tidy(() => upsampleBilinear(this.conv.forward(regions), 2));
  }
}
let sampled = 0;
class OwnHeads extends StandardRoiHeads {
  sample(...args) {
    sampled++;
    return super.sample(...args);
  }
}
maskHeads.register('OwnMask', (cfg, channels) => new OwnMask(channels, cfg.MODEL.ROI_HEADS.NUM_CLASSES));
roiHeads.register('OwnHeads', (cfg, features) => new OwnHeads(StandardRoiHeads.fromConfig(cfg, features).options));
const config = getConfig('COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x', [
  ...['MODEL.ROI_HEADS.NAME=OwnHeads', 'MODEL.ROI_MASK_HEAD.NAME=OwnMask', 'MODEL.RESNETS.DEPTH=18', 'MODEL.RESNETS.RES2_OUT_CHANNELS=64'],
  ...['MODEL.RESNETS.STRIDE_IN_1X1=False', 'MODEL.ROI_HEADS.NUM_CLASSES=2'],
]);
const model = GeneralizedRcnn.fromConfig(config);
const image = { data: new Uint8Array(64 * 64 * 3).fill(90), height: 64, width: 64 };
const { instances } = await model.infer([image]);
if (!instances[0].masks) throw new Error('the mask head of the user gives no masks');
const groundTruth = {
  boxes: Float32Array.of(8, 8, 40, 40),
  classes: Int32Array.of(1),
  masks: [{ kind: 'polygons', polygons: [Float64Array.of(8, 8, 40, 8, 40, 40, 8, 40)] }],
};
const sample = { ...image, imageId: 1, fileName: 'one.png', groundTruth };
const order = { permutation: (n) => Int32Array.from({ length: n }, (_, i) => i) };
const { losses } = await model.computeLosses([sample], { record: (part) => part(), order });
if (!('loss_mask' in losses) || sampled !== 1) throw new Error('the heads of the user do not learn');
JS
node own_parts.mjs
du -sh node_modules | cut -f1 | sed 's/^/installed size: /'

npm install --silent --no-audit --no-fund @tensorflow/tfjs-backend-webgl@^4.22.0 @tensorflow/tfjs-backend-webgpu@^4.22.0
mkdir page page/public
cp -r node_modules/maskrcnn-ts/weights/emoji "$root/examples/images/emoji_1.jpg" page/public
cat >page/index.html <<'HTML'
<!doctype html>
<title>loading</title>
<link rel="icon" href="data:," />
<script type="module" src="./page.js"></script>
HTML
cat >page/page.js <<'JS'
import { Predictor, PredictorWorker } from 'maskrcnn-ts/browser';

const counts = [];
try {
  for (const kind of [PredictorWorker, Predictor]) {
    const predictor = await kind.load('/emoji/', { device: 'wasm', scoreThreshold: 0.5 });
    counts.push((await predictor.predict('/emoji_1.jpg')).length);
    predictor.dispose();
  }
  document.title = `found ${counts.join(' and ')}`;
} catch (error) {
  document.title = `failed: ${error.message}`;
}
JS
node "$root/scripts/check_page.mjs" page 'found 7 and 7'
