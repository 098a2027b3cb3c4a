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
