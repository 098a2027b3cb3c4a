#!/usr/bin/env bash
# Packs the package, installs it into an empty folder with its peers, and predicts with the installed command, as a user would.
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
